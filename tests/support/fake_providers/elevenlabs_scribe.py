"""ElevenLabs' realtime transcription: a WebSocket that hears utterances, each ended by a commit.

Wire format: https://elevenlabs.io/docs/api-reference/speech-to-text/v-1-speech-to-text-realtime.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import secrets
from collections.abc import Callable
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse

from support.fake_providers.script import (
    CutAfter,
    Drop,
    EndAfter,
    ErrorAfter,
    Fault,
    HoldAfter,
    Refuse,
    RequestRecord,
    SlowDrip,
)
from support.fake_providers.server import FakeServer

SHORTEST_COMMIT_S = 0.3
LONGEST_CHUNK_S = 5.0
PARTIAL_LAG_S = 0.15
"""The latency that ElevenLabs publishes for Scribe v2 Realtime."""
PARTIALS_EVERY_S = 0.05
REFUSALS = {401: "auth_error", 402: "quota_exceeded", 429: "rate_limited", 400: "invalid_request"}


class FakeScribe:
    """Adds the endpoint to `server`. An utterance is one request there: a fault spoils one, or refuses a connection.

    `hear` gives an utterance's final words, `seconds` after its commit. `understand` (None: `hear`) gives those of what
    has come of it so far, without a word that has not come whole; they are told `lag` s after that has come, or not at
    all if that is None.
    """

    def __init__(
        self,
        server: FakeServer,
        hear: Callable[[bytes, str], str],
        seconds: float,
        understand: Callable[[bytes, str], str] | None = None,
        lag: float | None = PARTIAL_LAG_S,
    ) -> None:
        self.hear = hear
        self.seconds = seconds
        self.understand = understand
        self.lag = lag
        self.sessions: list[WebSocket] = []
        self._server = server
        server.app.add_api_websocket_route("/v1/speech-to-text/realtime", self._session)

    async def hang_up(self) -> None:
        """Close every session, as the real one does with those that were idle for long."""
        open_now, self.sessions = self.sessions, []  # a successor may come while they are being closed
        for session in open_now:
            await session.close(1000)

    async def _session(self, socket: WebSocket) -> None:
        if refusal := self._server.refused_at_once():
            headers = {"retry-after": refusal.retry_after} if refusal.retry_after else {}
            detail = {"status": refusal.code or "error", "message": refusal.message}
            await socket.send_denial_response(JSONResponse({"detail": detail}, refusal.status, headers))
            return
        await socket.accept()
        asked = dict(socket.query_params)
        given = socket.headers.get("xi-api-key", "")
        if not hmac.compare_digest(given.encode(), self._server.api_key.encode()):
            await _complain(socket, "auth_error", "You must be authenticated to use this endpoint.")
            await socket.close(1008)
            return
        if not asked.get("model_id", "").startswith("scribe_") or not asked.get("audio_format", "").startswith("pcm_"):
            await _complain(socket, "invalid_request", "Unknown model_id, or an audio_format this fake doesn't know.")
            await socket.close(1008)
            return
        config = {"audio_format": asked["audio_format"], "commit_strategy": asked.get("commit_strategy", "manual")}
        session_id = secrets.token_hex(10)
        await socket.send_json({"message_type": "session_started", "session_id": session_id, "config": config})
        self.sessions.append(socket)
        try:
            await self._listen(socket, int(asked["audio_format"].removeprefix("pcm_")), asked)
        except (WebSocketDisconnect, RuntimeError):  # starlette's ways to say that the client, or we, have left
            if socket in self.sessions:
                self.sessions.remove(socket)

    async def _listen(self, socket: WebSocket, sample_rate: int, asked: dict[str, str]) -> None:
        stretches: asyncio.Queue[_Stretch] = asyncio.Queue()
        work = [
            asyncio.create_task(self._receive(socket, stretches, sample_rate)),
            asyncio.create_task(self._serve(socket, stretches, sample_rate, asked)),
        ]
        try:
            done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in work:
                task.cancel()
            await asyncio.wait(work)

    async def _receive(self, socket: WebSocket, stretches: asyncio.Queue[_Stretch], sample_rate: int) -> None:
        stretch = _Stretch()
        stretches.put_nowait(stretch)
        while True:
            message = await socket.receive_json()
            if message.get("message_type") != "input_audio_chunk" or message.get("sample_rate") != sample_rate:
                await _complain(socket, "input_error", "input_audio_chunk with the session's sample_rate expected.")
                continue
            chunk = base64.b64decode(message["audio_base_64"])
            if len(chunk) > 2 * sample_rate * LONGEST_CHUNK_S:
                await _complain(socket, "chunk_size_exceeded", "The chunk is too long.")
                continue
            stretch.add(chunk)
            if message["commit"]:
                stretch.committed.set()
                stretch = _Stretch()
                stretches.put_nowait(stretch)

    async def _serve(
        self, socket: WebSocket, stretches: asyncio.Queue[_Stretch], sample_rate: int, asked: dict[str, str]
    ) -> None:
        """One stretch after the other: its partial transcripts, and the final one after its commit."""
        while True:
            stretch = await stretches.get()
            partials = asyncio.create_task(self._tell_partials(socket, stretch, asked))
            try:
                await stretch.committed.wait()
                await self._commit(socket, stretch, sample_rate, asked)
            finally:
                partials.cancel()
                await asyncio.wait([partials])
            if not partials.cancelled():
                partials.result()

    async def _tell_partials(self, socket: WebSocket, stretch: _Stretch, asked: dict[str, str]) -> None:
        loop = asyncio.get_running_loop()
        understood, lag = 0, self.lag
        while lag is not None:
            while (due := stretch.received_by(loop.time() - lag)) <= understood:
                await stretch.next_due(understood, lag)
            understood = due
            text = (self.understand or self.hear)(bytes(stretch.audio[:due]), asked.get("language_code", ""))
            if text and text != stretch.told:
                stretch.told = text
                await socket.send_json({"message_type": "partial_transcript", "text": text})
            await asyncio.sleep(PARTIALS_EVERY_S)

    async def _commit(self, socket: WebSocket, stretch: _Stretch, sample_rate: int, asked: dict[str, str]) -> None:
        assert socket.client is not None
        audio = bytes(stretch.audio)
        record = RequestRecord(
            method="WEBSOCKET",
            path=socket.url.path,
            query=asked,
            headers=dict(socket.headers),
            body=audio,
            peer=(socket.client.host, socket.client.port),
        )
        fault = self._server.recorded(record)
        if len(audio) < 2 * sample_rate * SHORTEST_COMMIT_S:
            await _complain(socket, "commit_throttled", "Commit was throttled: too little uncommitted audio.")
        elif isinstance(fault, Refuse):
            await _complain(socket, fault.code or REFUSALS.get(fault.status, "transcriber_error"), fault.message)
        else:
            await self._answer(socket, record, fault, stretch, self.hear(audio, asked.get("language_code", "")))

    async def _answer(
        self, socket: WebSocket, record: RequestRecord, fault: Fault | None, stretch: _Stretch, text: str
    ) -> None:
        words, seconds = text.split(), self.seconds
        partials = [" ".join(words[: n + 1]) for n in range(len(words) - 1)]
        messages = [{"message_type": "partial_transcript", "text": partial} for partial in partials]
        messages.append({"message_type": "committed_transcript", "text": text})
        for number, message in enumerate(messages):
            pace = fault.seconds if isinstance(fault, SlowDrip) else seconds / len(messages)
            await asyncio.sleep(pace)
            match fault:
                case Drop():
                    self._server.abort(record.peer)
                case CutAfter(pieces=n) if n == number:
                    self._server.abort(record.peer)
                case EndAfter(pieces=n) if n == number:
                    await socket.close(1000)
                case HoldAfter(pieces=n) if n == number:
                    await (fault.until or asyncio.Event()).wait()
                case ErrorAfter(pieces=n) if n == number:
                    await _complain(socket, str(fault.code), fault.message)
                    return
            record.sends()
            # What was told while the caller spoke is not taken back word by word.
            if message["message_type"] == "committed_transcript" or len(message["text"]) > len(stretch.told):
                await socket.send_text(json.dumps(message))
        record.finished.set()


class _Stretch:
    """The audio (s16le mono) between two commits, and when it came."""

    def __init__(self) -> None:
        self.audio = bytearray()
        self.told = ""
        self.committed = asyncio.Event()
        self._came: list[tuple[float, int]] = []
        self._more = asyncio.Event()

    def add(self, chunk: bytes) -> None:
        self.audio += chunk
        self._came.append((asyncio.get_running_loop().time(), len(self.audio)))
        self._more.set()

    def received_by(self, moment: float) -> int:
        """Bytes that were there at a moment of the loop's time."""
        return next((length for at, length in reversed(self._came) if at <= moment), 0)

    async def next_due(self, understood: int, lag: float) -> None:
        """Wait until the audio after the first `understood` bytes has been there for `lag` s."""
        while (at := next((at for at, length in self._came if length > understood), None)) is None:
            self._more.clear()
            await self._more.wait()
        await asyncio.sleep(max(0.0, at + lag - asyncio.get_running_loop().time()))


async def _complain(socket: WebSocket, kind: str, text: str) -> None:
    complaint: dict[str, Any] = {"message_type": kind, "error": text}
    await socket.send_json(complaint)
