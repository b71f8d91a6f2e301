"""A caller heard by ElevenLabs' Scribe while they speak: audio goes out as it comes, partial transcripts come back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from ai_worker.providers._http_errors import ErrorMap
from ai_worker.providers._scribe import CHUNK_S, SHORTEST_AUDIO_S, Closed, ScribeSession
from ai_worker.providers.base import OnText, ProviderError

SHORTEST_CHUNK_S = 0.09
"""The API recommends chunks of 0.1 to 1 s: about as short as that while the caller speaks (three windows of the
voice-activity detector are 96 ms), longer ones to catch up."""
MOST_WAITING_S = 60.0
"""Audio that waits to be sent: while connecting, or because the server reads slower than it is spoken."""


class ScribeLive:
    """A LiveTranscription over one session, which `begin` gives and `end` takes back.

    `end` is told whether everything that was sent was committed and answered: then the session can serve somebody else.
    """

    def __init__(
        self,
        sample_rate: int,
        errors: ErrorMap,
        on_text: OnText,
        *,
        begin: Callable[[], Awaitable[ScribeSession]],
        end: Callable[[ScribeSession, bool], Awaitable[None]],
    ) -> None:
        self._rate = sample_rate
        self._errors = errors
        self._on_text = on_text
        self._begin, self._end = begin, end
        self._chunk = bytearray()
        self._since_commit = 0
        # None is a commit.
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._waiting = 0
        self._commits: deque[asyncio.Future[str]] = deque()
        self._answered = 0
        self._lost: ProviderError | None = None
        self._reusable = False
        self._running = asyncio.create_task(self._run())

    def on_end(self, callback: Callable[[ScribeLive], object]) -> None:
        """Have `callback` called when the session was given back."""
        self._running.add_done_callback(lambda _: callback(self))

    @property
    def usable(self) -> bool:
        return self._lost is None

    def feed(self, pcm: bytes) -> None:
        """See LiveTranscription.feed. What can't be sent for a minute ends it."""
        if self._lost or not pcm:
            return
        self._chunk += pcm
        self._since_commit += len(pcm)
        while len(self._chunk) >= self._bytes(SHORTEST_CHUNK_S):
            self._put(self._bytes(CHUNK_S))
        if self._waiting > self._bytes(MOST_WAITING_S):
            self._lose(self._errors.failed(f"{MOST_WAITING_S:g} s of audio could not be sent"))
            self._running.cancel()

    def commit(self) -> asyncio.Future[str]:
        """See LiveTranscription.commit."""
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        if self._lost:
            answer.set_exception(self._lost)
            answer.exception()  # also if nobody asks, it was not left unseen
            return answer
        missing = self._bytes(SHORTEST_AUDIO_S) - self._since_commit
        self._chunk += bytes(max(0, missing))
        while self._chunk:
            self._put(self._bytes(CHUNK_S))
        self._outgoing.put_nowait(None)
        self._since_commit = 0
        self._commits.append(answer)
        return answer

    async def aclose(self) -> None:
        """Stop listening; commits that are not answered fail."""
        if self.usable:
            self._reusable = not self._commits and not self._since_commit
            self._lose(self._errors.refused("it was closed"))
            self._running.cancel()
        await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            session = await self._begin()
        except ProviderError as error:
            self._lose(error)
            return
        except Closed as closed:
            self._lose(self._errors.failed(f"the connection was closed at once: {closed}"))
            return
        session.live = True
        work = [asyncio.create_task(self._send(session)), asyncio.create_task(self._receive(session))]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        except ProviderError as error:
            self._lose(error)
        except Closed as closed:
            self._lose(self._errors.failed(f"the connection was closed while the caller was heard: {closed}"))
        finally:
            session.live = False
            for task in work:
                task.cancel()
            await asyncio.wait(work)
            await self._end(session, self._reusable)

    async def _send(self, session: ScribeSession) -> None:
        while True:
            piece = await self._outgoing.get()
            if piece is None:
                await session.commit()
            else:
                await session.send(piece)
                self._waiting -= len(piece)

    async def _receive(self, session: ScribeSession) -> None:
        while True:
            kind, text = await session.heard()
            if kind == "partial_transcript" and not self._lost:
                self._on_text(self._answered, text)
            elif kind == "committed_transcript" and self._commits:
                self._answered += 1
                answer = self._commits.popleft()
                if not answer.done():
                    answer.set_result(text)

    def _lose(self, error: ProviderError) -> None:
        self._lost = self._lost or error
        while self._commits:
            answer = self._commits.popleft()
            if not answer.done():
                answer.set_exception(self._lost)
                answer.exception()  # also if nobody asks, it was not left unseen

    def _put(self, most: int) -> None:
        piece = bytes(self._chunk[:most])
        del self._chunk[:most]
        self._waiting += len(piece)
        self._outgoing.put_nowait(piece)

    def _bytes(self, seconds: float) -> int:
        return 2 * round(self._rate * seconds)
