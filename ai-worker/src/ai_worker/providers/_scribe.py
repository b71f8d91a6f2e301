"""One WebSocket to ElevenLabs' Scribe, as far as a stretch of speech needs it.

Wire format: https://elevenlabs.io/docs/api-reference/speech-to-text/v-1-speech-to-text-realtime.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from typing import Any

from elevenlabs.realtime.connection import RealtimeConnection, RealtimeEvents
from websockets.exceptions import WebSocketException

from ai_worker.providers._http_errors import ErrorMap
from ai_worker.providers._text import sendable

CHUNK_S = 1.0
# The API refuses to commit next to nothing; a short word is followed by silence up to this length.
SHORTEST_AUDIO_S = 0.5

DENIED = frozenset({"auth_error", "quota_exceeded", "unaccepted_terms"})
REFUSED = frozenset({"input_error", "invalid_request", "chunk_size_exceeded"})


class Closed(Exception):
    """The server closed the connection; its text says how."""


class ScribeSession:
    """A connection that was just opened; `ended` is called when it is closed.

    Partial transcripts are passed on while `live` is set.
    """

    def __init__(
        self, connection: RealtimeConnection, errors: ErrorMap, ended: Callable[[ScribeSession], None]
    ) -> None:
        self.served = False
        self.live = False
        self._connection = connection
        self._errors = errors
        self._events: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
        for event in (
            RealtimeEvents.SESSION_STARTED,
            RealtimeEvents.PARTIAL_TRANSCRIPT,
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
        """Wait until the server is ready. Raises ProviderError, or Closed."""
        while (await self.heard())[0] != "session_started":
            pass

    async def transcribe(self, pcm: bytes, sample_rate: int) -> str:
        """Raises ProviderError, or Closed."""
        padded = pcm.ljust(2 * round(sample_rate * SHORTEST_AUDIO_S), b"\0")
        size = 2 * round(sample_rate * CHUNK_S)
        for start in range(0, len(padded), size):
            await self.send(padded[start : start + size])
        await self.commit()
        while True:
            kind, text = await self.heard()
            if kind == "committed_transcript":
                return text

    async def send(self, pcm: bytes) -> None:
        """Raises Closed."""
        try:
            await self._connection.send({"audio_base_64": base64.b64encode(pcm).decode()})
        except WebSocketException as error:
            raise Closed(str(error)) from None

    async def commit(self) -> None:
        """Ask for the final words of what was sent since the last commit. Raises Closed."""
        try:
            await self._connection.commit()
        except WebSocketException as error:
            raise Closed(str(error)) from None

    async def heard(self) -> tuple[str, str]:
        """The next message's type, without the complaints, and its text. Raises ProviderError, or Closed."""
        kind, data = await self._events.get()
        if kind == "close":
            raise Closed(f"code {data.get('code')} {data.get('reason') or ''}".strip())
        if kind == "error" and "message_type" not in data:  # the SDK's own, for a broken connection
            raise Closed(str(data.get("error", "")))
        if kind == "error":
            self._complain(data)
            kind, data = "committed_transcript", {}
        if kind == "committed_transcript":
            self.served = True
        return kind, sendable(str(data.get("text", ""))).strip()

    async def close(self) -> None:
        # Without the closing handshake, for which a server that hangs would have ten seconds.
        self._connection.websocket.transport.abort()
        await self._connection.close()

    def _complain(self, data: dict[str, Any]) -> None:
        """Raises ProviderError, unless the complaint is that nobody spoke."""
        kind, said = str(data.get("message_type", "error")), str(data.get("error", ""))
        if kind == "insufficient_audio_activity":
            return
        reason = f"{kind}: {said}"
        if kind in DENIED:
            raise self._errors.denied(reason)
        if kind in REFUSED:
            raise self._errors.refused(reason)
        raise self._errors.failed(reason)

    def _listener(self, kind: str) -> Any:
        def heard(data: dict[str, Any]) -> None:
            if self.live or kind != "partial_transcript":
                self._events.put_nowait((kind, data))

        return heard
