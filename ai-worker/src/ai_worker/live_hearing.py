"""One call's speech, heard while it is spoken by an STT that can: fed as it comes, its words told as they come."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.hearing import Hearing
from ai_worker.providers.base import LiveTranscription, ProviderError, ProviderTimeout
from ai_worker.providers.chain import SttChain

AGAIN_S = 10.0
"""After a session was lost in the middle of speech, the call does without for so long."""
SEAM_MS = 300
"""A part that begins so soon after the last audio that was fed goes on from there: there is no pause between them."""

Words = Callable[[], Coroutine[Any, Any, str]]
"""To be called once; what it gives is awaited for the words, and may raise ProviderError."""

log = structlog.get_logger()


@dataclass(slots=True, eq=False)
class _Stretch:
    """Audio up to a commit, or since the last one; `text` is what is understood of it so far."""

    number: int
    text: str = ""
    final: asyncio.Task[str | None] | None = None


@dataclass(slots=True, eq=False)
class _Passage:
    """What the conversation listens to: the audio from `start_ms`, all of which one session has heard."""

    utterance: int
    revision: int
    start_ms: int
    fed_ms: int
    live: LiveTranscription | None = None
    stretches: list[_Stretch] = field(default_factory=list)
    told: tuple[int, str] | None = None

    @property
    def text(self) -> str:
        return " ".join(stretch.text for stretch in self.stretches if stretch.text)


class LiveHearing:
    """Fed by `advance`, steered by `listen` and `stop`, asked for `words`; close it when the call ends.

    Positions are ms of media. A session is opened when the caller first speaks and kept as long as it lasts. Where
    there is none (it is not `wanted`, or no provider has it), or it was lost, the words come from the whole audio.
    Its tasks run in what `context` gives, of the turn (True) or only of the call.
    """

    def __init__(
        self,
        stt: SttChain,
        hearing: Hearing,
        language: str,
        tell: Callable[[ev.Partial], None],
        *,
        wanted: bool = True,
        clock: Callable[[], float] = time.monotonic,
        context: Callable[[bool], contextvars.Context] = lambda _: contextvars.copy_context(),
    ) -> None:
        self._stt = stt
        self._hearing = hearing
        self._language = language
        self._tell = tell
        self._wanted = wanted
        self._clock = clock
        self._live: LiveTranscription | None = None
        self._sessions = 0
        self._stretches = 0
        self._passage: _Passage | None = None
        self._feeding = False
        self._known_ms = 0
        self._given_ms = 0
        self._replayed_ms = 0
        self._not_before = 0.0
        self._late = ""
        self._context = context
        self._finals: set[asyncio.Task[str | None]] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def listen(self, action: act.Listen) -> None:
        """Feed the audio from `action.start_ms` on, of which nothing is fed twice."""
        passage = self._passage
        if passage and (passage.utterance, passage.start_ms) == (action.utterance, action.start_ms):
            passage.revision = action.revision
        else:
            begin = max(action.start_ms, self._given_ms)
            if passage and passage.utterance == action.utterance and self._covers(passage):
                begin = passage.fed_ms if begin - passage.fed_ms <= SEAM_MS else begin
            self.stop()
            self._passage = _Passage(action.utterance, action.revision, action.start_ms, begin)
        self._feeding = True
        self._feed(self._known_ms)
        asyncio.get_running_loop().call_soon(self._tell_text)

    def stop(self) -> None:
        """Nobody wants the words that are not asked for yet."""
        passage, self._passage, self._feeding = self._passage, None, False
        if passage and self._covers(passage):
            self._commit(passage)

    def replayed(self, position_ms: float) -> None:
        """The audio up to there is history: what was said in it is over, unless the caller still speaks after it."""
        self._replayed_ms = round(position_ms)

    def advance(self, position_ms: int) -> None:
        """The audio up to there is known to the conversation."""
        self._known_ms = position_ms
        self._feed(position_ms)

    def words(self, action: act.Transcribe) -> Words:
        """All the words since `action.start_ms`; for a PROBE, what is understood of them by now.

        What is fed after this does not count.
        """
        pcm = self._hearing.cut(action.start_ms, action.end_ms)
        passage = self._passage
        if passage is None or (passage.utterance, passage.start_ms) != (action.utterance, action.start_ms):
            return partial(self._transcribe, pcm)
        self._check()
        if not self._covers(passage):
            return partial(self._transcribe, pcm)
        if action.revision == act.PROBE:
            return partial(_known, passage.text)
        self._feed(min(action.end_ms, int(self._hearing.position_ms)))
        self._feeding = False
        self._commit(passage)
        self._given_ms = passage.fed_ms
        finals = [stretch.final for stretch in passage.stretches if stretch.final]
        return partial(self._joined, finals, pcm)

    async def aclose(self) -> None:
        """Leave nothing behind."""
        self._passage = None
        for final in self._finals:
            final.cancel()
        if self._finals:
            await asyncio.wait(self._finals)
        if self._live:
            self._drop(self._live)
        if self._closing:
            await asyncio.wait(self._closing)

    def _covers(self, passage: _Passage) -> bool:
        return passage.live is not None and passage.live is self._live

    def _feed(self, until_ms: int) -> None:
        passage = self._passage
        if passage is None or not self._feeding or until_ms <= passage.fed_ms:
            return
        self._check()
        if passage.live is None and until_ms > self._replayed_ms:
            passage.live = self._session()
        if passage.live is None or passage.live is not self._live:
            return
        if not passage.stretches or passage.stretches[-1].final:
            passage.stretches.append(_Stretch(self._stretches))
        passage.live.feed(self._hearing.cut(passage.fed_ms, until_ms))
        passage.fed_ms = until_ms

    def _session(self) -> LiveTranscription | None:
        if self._live is None and self._wanted and self._clock() >= self._not_before:
            self._sessions += 1
            self._stretches = 0
            # Asked for by whichever task reads the audio; what the session does belongs to this call all the same.
            self._live = self._context(False).run(
                self._stt.open_live,
                self._hearing.sample_rate,
                language=self._language,
                on_text=partial(self._understood, self._sessions),
            )
            if self._live is None:
                self._not_before = self._clock() + AGAIN_S
        return self._live

    def _check(self) -> None:
        """A session that was lost in the middle of speech is a failure; one that was closed in between is not."""
        live, passage = self._live, self._passage
        if live is None or live.usable:
            return
        if passage and passage.live is live and passage.stretches and not passage.stretches[-1].final:
            # Its answer is the reason, which the chain is to hear of.
            self._commit(passage)
        self._drop(live)

    def _commit(self, passage: _Passage) -> None:
        if passage.live and passage.stretches and not passage.stretches[-1].final:
            stretch = passage.stretches[-1]
            self._stretches += 1
            stretch.final = asyncio.create_task(
                self._finish(stretch, passage.live, passage.live.commit()), context=self._context(True)
            )
            self._finals.add(stretch.final)
            stretch.final.add_done_callback(self._finals.discard)

    async def _finish(self, stretch: _Stretch, live: LiveTranscription, answer: Awaitable[str]) -> str | None:
        try:
            stretch.text = await answer
        except ProviderError as error:
            log.warning("the live transcription was lost", error=str(error))
            self._not_before = self._clock() + AGAIN_S
            self._late = error.provider if isinstance(error, ProviderTimeout) else ""
            self._drop(live)
            return None
        self._tell_text()
        return stretch.text

    def _understood(self, session: int, number: int, text: str) -> None:
        if self._passage is None or session != self._sessions:
            return
        for stretch in self._passage.stretches:
            if stretch.number == number:
                stretch.text = text
        self._tell_text()

    def _tell_text(self) -> None:
        passage = self._passage
        if passage is None or not self._covers(passage):
            return
        told = (passage.revision, passage.text)
        if told != passage.told and (passage.told or passage.text):
            passage.told = told
            self._tell(ev.Partial(passage.utterance, *told))

    def _drop(self, live: LiveTranscription) -> None:
        if live is self._live:
            self._live = None
            closing = asyncio.create_task(live.aclose(), context=self._context(False))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _joined(self, finals: Sequence[asyncio.Task[str | None]], pcm: bytes) -> str:
        texts: list[str] = []
        for final in finals:
            # It is the session's, and goes on for the next revision when this one is no longer wanted.
            text = await asyncio.shield(final)
            if text is None:
                return await self._transcribe(pcm, last=self._late)
            texts.append(text)
        return " ".join(filter(None, texts))

    async def _transcribe(self, pcm: bytes, *, last: str = "") -> str:
        rate = self._hearing.sample_rate
        return (await self._stt.transcribe(pcm, rate, language=self._language, last=last)).text


async def _known(text: str) -> str:
    return text
