"""Speech-to-text by ElevenLabs' Scribe over its realtime WebSocket, an utterance at a time."""

from __future__ import annotations

import asyncio
from functools import partial

from elevenlabs.realtime.scribe import AudioFormat, CommitStrategy, RealtimeAudioOptions, ScribeRealtime
from websockets.exceptions import InvalidStatus, WebSocketException

from ai_worker.providers._connections import Connections
from ai_worker.providers._http_errors import ErrorMap, checked_key
from ai_worker.providers._scribe import Closed, ScribeSession
from ai_worker.providers.base import LiveTranscription, OnText, Transcript
from ai_worker.providers.elevenlabs_live import ScribeLive

ELEVENLABS_URL = "https://api.elevenlabs.io"
FORMATS = {8000: AudioFormat.PCM_8000, 16000: AudioFormat.PCM_16000}
KEPT_IDLE = 8

_Key = tuple[int, str]


class ElevenLabsTranscription:
    """A SpeechToText over wss://…/v1/speech-to-text/realtime, committed by hand after each utterance.

    A connection serves one utterance after the other, for one rate and language; up to 8 idle ones are kept. In place
    of one that was lost, with an utterance that was cancelled or because the server closed it, or that a call keeps for
    itself to be heard live, a spare one is opened.
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
        self._idle: list[tuple[_Key, ScribeSession]] = []
        self._lives: set[ScribeLive] = set()
        self._asked: _Key = (8000, "en")
        self._connections = Connections(self._errors, renew=self._spare, close=self._close, idle=None)

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
        """See SpeechToText.transcribe. Raises ValueError for a rate other than 8000 or 16000 Hz."""
        self._check(sample_rate)
        if not pcm:
            return Transcript("")
        key = self._asked = (sample_rate, language)
        with self._connections.request():
            async with self._connections.until(self._deadline(), "the transcript", self._timeout):
                return Transcript(await self._transcribe(pcm, key))

    def open_live(self, sample_rate: int, *, language: str, on_text: OnText) -> LiveTranscription:
        """See LiveSpeechToText.open_live. Raises ValueError for a rate other than 8000 or 16000 Hz."""
        self._check(sample_rate)
        key = self._asked = (sample_rate, language)
        live = ScribeLive(
            sample_rate,
            self._errors,
            on_text,
            begin=partial(self._begin_live, key),
            end=partial(self._end_live, key),
        )
        self._lives.add(live)
        live.on_end(self._lives.discard)
        return live

    async def warm(self) -> None:
        """Open a connection, for calls in English at 8 kHz. Raises ProviderError, also when the key is not accepted."""
        key = self._asked
        async with self._connections.until(self._deadline(), "the session", self._timeout):
            self._idle.append((key, await self._open(key)))

    async def aclose(self) -> None:
        """Close the connections, running requests included."""
        await self._connections.aclose()

    def _check(self, sample_rate: int) -> None:
        if sample_rate not in FORMATS:
            raise ValueError(f"{self.name}: audio at 8000 or 16000 Hz, not at {sample_rate} Hz")

    async def _begin_live(self, key: _Key) -> ScribeSession:
        async with self._connections.until(self._deadline(), "the session", self._timeout):
            session = await self._take(key) or await self._open(key)
        # The next call, or an utterance that has to be sent whole, is not to wait for a connection.
        self._connections.renew()
        return session

    async def _end_live(self, key: _Key, session: ScribeSession, reusable: bool) -> None:
        if reusable and session.usable and len(self._idle) < KEPT_IDLE:
            self._idle.append((key, session))
            return
        await session.close()
        self._connections.renew()

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout

    async def _close(self) -> None:
        for live in list(self._lives):
            await live.aclose()
        while self._idle:
            await self._idle.pop()[1].close()

    async def _spare(self) -> None:
        for entry in [entry for entry in self._idle if not entry[1].usable]:
            self._idle.remove(entry)
            await entry[1].close()
        if not any(key == self._asked for key, _ in self._idle):
            key = self._asked
            self._idle.append((key, await self._open(key)))

    def _ended(self, session: ScribeSession) -> None:
        # One that was never used is not missed: else a server that closes idle ones would be asked for ever.
        if session.served and any(idle is session for _, idle in self._idle):
            self._connections.renew()

    async def _transcribe(self, pcm: bytes, key: _Key) -> str:
        session = await self._take(key)
        if session is not None:
            try:
                return await self._use(session, pcm, key)
            except Closed:
                pass  # it was closed as we took it from the pool
        try:
            return await self._use(await self._open(key), pcm, key)
        except Closed as closed:
            raise self._errors.failed(f"the connection was closed within an utterance: {closed}") from None

    async def _use(self, session: ScribeSession, pcm: bytes, key: _Key) -> str:
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

    async def _take(self, key: _Key) -> ScribeSession | None:
        for entry in reversed(self._idle):
            if entry[0] == key:
                self._idle.remove(entry)
                if entry[1].usable:
                    return entry[1]
                await entry[1].close()
        return None

    async def _open(self, key: _Key) -> ScribeSession:
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
        session = ScribeSession(connection, self._errors, self._ended)
        began = False
        try:
            await session.started()
            began = True
        except Closed as closed:
            raise self._errors.failed(f"the connection was closed at once: {closed}") from None
        finally:
            if not began:
                await session.close()
        return session
