"""Speech-to-text by ElevenLabs' Scribe over its realtime WebSocket, an utterance at a time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

from elevenlabs.realtime.connection import RealtimeConnection, RealtimeEvents
from elevenlabs.realtime.scribe import AudioFormat, CommitStrategy, RealtimeAudioOptions, ScribeRealtime
from websockets.exceptions import InvalidStatus, WebSocketException

from ai_worker.providers._connections import Connections
from ai_worker.providers._http_errors import ErrorMap, checked_key
from ai_worker.providers.base import Transcript

ELEVENLABS_URL = "https://api.elevenlabs.io"
FORMATS = {8000: AudioFormat.PCM_8000, 16000: AudioFormat.PCM_16000}
CHUNK_S = 1.0
# The API refuses to commit next to nothing; a short word is followed by silence up to this length.
SHORTEST_AUDIO_S = 0.5
KEPT_IDLE = 8

DENIED = frozenset({"auth_error", "quota_exceeded", "unaccepted_terms"})
REFUSED = frozenset({"input_error", "invalid_request", "chunk_size_exceeded"})

_Key = tuple[int, str]


class ElevenLabsTranscription:
    """A SpeechToText over wss://…/v1/speech-to-text/realtime, committed by hand after each utterance.

    A connection serves one utterance after the other, for one rate and language; up to 8 idle ones are kept. In place
    of one that was lost, with an utterance that was cancelled or because the server closed it, a spare one is opened.
    `timeout` (s) is for the whole of a transcript, connecting included. Raises ValueError for a key that can't be sent.
    """

    def __init__(
        self,
        *,
        api_key: str,
        model: str = "scribe_v2_realtime",
        base_url: str = ELEVENLABS_URL,
        name: str = "elevenlabs-stt",
        timeout: float = 5.0,
    ) -> None:
        key = checked_key(name, api_key)
        self.name = name
        self._model = model
        self._timeout = timeout
        self._errors = ErrorMap(name, key)
        self._api = ScribeRealtime(api_key=key, base_url=base_url)
        self._idle: list[tuple[_Key, _Session]] = []
        self._asked: _Key = (8000, "en")
        self._connections = Connections(self._errors, renew=self._spare, close=self._close, idle=None)

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
        """See SpeechToText.transcribe. Raises ValueError for a rate other than 8000 or 16000 Hz."""
        if sample_rate not in FORMATS:
            raise ValueError(f"{self.name}: audio at 8000 or 16000 Hz, not at {sample_rate} Hz")
        if not pcm:
            return Transcript("")
        key = self._asked = (sample_rate, language)
        with self._connections.request():
            async with self._connections.until(self._deadline(), "the transcript", self._timeout):
                return Transcript(await self._transcribe(pcm, key))

    async def warm(self) -> None:
        """Open a connection, for calls in English at 8 kHz. Raises ProviderError, also when the key is not accepted."""
        key = self._asked
        async with self._connections.until(self._deadline(), "the session", self._timeout):
            self._idle.append((key, await self._open(key)))

    async def aclose(self) -> None:
        """Close the connections, running requests included."""
        await self._connections.aclose()

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout

    async def _close(self) -> None:
        while self._idle:
            await self._idle.pop()[1].close()

    async def _spare(self) -> None:
        for entry in [entry for entry in self._idle if not entry[1].usable]:
            self._idle.remove(entry)
            await entry[1].close()
        if not any(key == self._asked for key, _ in self._idle):
            key = self._asked
            self._idle.append((key, await self._open(key)))

    def _ended(self, session: _Session) -> None:
        # One that was never used is not missed: else a server that closes idle ones would be asked for ever.
        if session.served and any(idle is session for _, idle in self._idle):
            self._connections.renew()

    async def _transcribe(self, pcm: bytes, key: _Key) -> str:
        session = await self._take(key)
        if session is not None:
            try:
                return await self._use(session, pcm, key)
            except _Closed:
                pass  # it was closed as we took it from the pool
        try:
            return await self._use(await self._open(key), pcm, key)
        except _Closed as closed:
            raise self._errors.failed(f"the connection was closed within an utterance: {closed}") from None

    async def _use(self, session: _Session, pcm: bytes, key: _Key) -> str:
        healthy = False
        try:
            text = await session.transcribe(pcm, key[0])
            healthy = True
        finally:
            if healthy and len(self._idle) < KEPT_IDLE:
                self._idle.append((key, session))
            else:
                await session.close()
        return text

    async def _take(self, key: _Key) -> _Session | None:
        for entry in reversed(self._idle):
            if entry[0] == key:
                self._idle.remove(entry)
                if entry[1].usable:
                    return entry[1]
                await entry[1].close()
        return None

    async def _open(self, key: _Key) -> _Session:
        sample_rate, language = key
        options: RealtimeAudioOptions = {
            "model_id": self._model,
            "audio_format": FORMATS[sample_rate],
            "sample_rate": sample_rate,
            "commit_strategy": CommitStrategy.MANUAL,
        }
        if language:
            options["language_code"] = language
        try:
            connection = await self._api.connect(options)
        except InvalidStatus as error:
            raise self._errors.from_handshake(error) from None
        except (OSError, WebSocketException) as error:
            raise self._errors.lost(error) from None
        session = _Session(connection, self._errors, self._ended)
        began = False
        try:
            await session.started()
            began = True
        except _Closed as closed:
            raise self._errors.failed(f"the connection was closed at once: {closed}") from None
        finally:
            if not began:
                await session.close()
        return session


class _Closed(Exception):
    """The server closed the connection; its text says how."""


class _Session:
    """One WebSocket, as far as an utterance needs it."""

    def __init__(self, connection: RealtimeConnection, errors: ErrorMap, ended: Callable[[_Session], None]) -> None:
        self.served = False
        self._connection = connection
        self._errors = errors
        self._events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        for event in (
            RealtimeEvents.SESSION_STARTED,
            RealtimeEvents.COMMITTED_TRANSCRIPT,
            RealtimeEvents.ERROR,
            RealtimeEvents.CLOSE,
        ):
            connection.on(event, self._listener(event.value))
        connection.on(RealtimeEvents.CLOSE, lambda _: ended(self))

    @property
    def usable(self) -> bool:
        """Whether nothing was said since the last utterance, neither a complaint nor a goodbye."""
        return self._events.empty()

    async def started(self) -> None:
        await self._next("session_started")

    async def transcribe(self, pcm: bytes, sample_rate: int) -> str:
        """Raises ProviderError, or _Closed."""
        padded = pcm.ljust(2 * round(sample_rate * SHORTEST_AUDIO_S), b"\0")
        size = 2 * round(sample_rate * CHUNK_S)
        try:
            for start in range(0, len(padded), size):
                chunk = base64.b64encode(padded[start : start + size]).decode()
                await self._connection.send({"audio_base_64": chunk})
            await self._connection.commit()
        except WebSocketException as error:
            raise _Closed(str(error)) from None
        committed = await self._next("committed_transcript")
        self.served = True
        return str(committed.get("text", "")).strip()

    async def close(self) -> None:
        # Without the closing handshake, for which a server that hangs would have ten seconds.
        self._connection.websocket.transport.abort()
        await self._connection.close()

    async def _next(self, awaited: str) -> dict[str, Any]:
        while True:
            kind, data = await self._events.get()
            if kind == awaited:
                return data
            if kind == "close":
                raise _Closed(f"code {data.get('code')} {data.get('reason') or ''}".strip())
            if kind == "error" and "message_type" not in data:  # the SDK's own, for a broken connection
                raise _Closed(str(data.get("error", "")))
            if kind == "error":
                self._complain(data, awaited)
                return {}

    def _complain(self, data: dict[str, Any], awaited: str) -> None:
        """Raises ProviderError, unless the complaint is that nobody spoke."""
        kind, said = str(data.get("message_type", "error")), str(data.get("error", ""))
        if kind == "insufficient_audio_activity" and awaited == "committed_transcript":
            return
        reason = f"{kind}: {said}"
        if kind in DENIED:
            raise self._errors.denied(reason)
        if kind in REFUSED:
            raise self._errors.refused(reason)
        raise self._errors.failed(reason)

    def _listener(self, kind: str) -> Any:
        def heard(data: dict[str, Any]) -> None:
            self._events.put_nowait((kind, data))

        return heard
