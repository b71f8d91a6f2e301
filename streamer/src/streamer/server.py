"""The streamer's port: media WebSockets, and plain HTTP for health, readiness and metrics.

The protocol is the Sans-I/O one of `websockets`, called from an asyncio.Protocol: no task, no queue and no future for a
message that arrives.
"""

from __future__ import annotations

import asyncio
import http
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from websockets.datastructures import Headers, MultipleValuesError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from streamer.context import Context
from streamer.gate import Admission, Gate, Refusal
from streamer.session import MediaSession

MESSAGE_MAX_BYTES = 1 << 20
WRITE_BUFFER_MAX_BYTES = 2 << 20
"""A client that lets so much lie unread reads nothing any more."""
CLOSE_TIMEOUT_S = 5.0
SWEEP_EVERY_S = 1.0
ABNORMAL = 1006

log = structlog.get_logger()
_protocol_log = logging.getLogger("websockets.server")


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes


class MediaServer:
    """All connections of one streamer. `pages` are the plain HTTP answers by path."""

    def __init__(self, context: Context, gate: Gate, pages: dict[str, Callable[[], Page]]) -> None:
        self.context = context
        self.gate = gate
        self.pages = pages
        self.draining = False
        self.connections: set[MediaConnection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """Open the port, and tell which. Raises OSError."""
        settings = self.context.settings
        self._server = await asyncio.get_running_loop().create_server(
            lambda: MediaConnection(self), settings.streamer_host, settings.streamer_port, backlog=1024
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def aclose(self) -> None:
        """Close the port and what is still connected."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()
        if self._server is not None:
            await self._server.wait_closed()

    def refuses(self, admission: Admission) -> str | None:
        """Why there is no place for this call now; None if there is. A call that is ours may always come back."""
        if admission.call_id is not None and admission.call_id in self.context.by_call:
            return None
        if self.draining:
            return "this streamer is about to stop"
        if len(self.context.sessions) >= self.context.settings.streamer_max_calls:
            return "this streamer is full"
        return None

    async def sweep(self) -> None:
        """Once a second, until cancelled: ping the silent, drop the dead."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            now = loop.time()
            for connection in list(self.connections):
                connection.check(now)


class MediaConnection(asyncio.Protocol):
    """One TCP connection."""

    def __init__(self, server: MediaServer) -> None:
        self._server = server
        self._settings = server.context.settings
        self._counters = server.context.counters
        self._loop = asyncio.get_running_loop()
        self._ws = ServerProtocol(max_size=MESSAGE_MAX_BYTES, logger=_protocol_log)
        self._transport: Any = None
        self._session: MediaSession | None = None
        self._fragments: list[bytes] = []
        self._fragments_are_text = False
        self._heard_at = self._opened_at = self._loop.time()
        self._pinged_at: float | None = None
        self._closing_at: float | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._server.connections.add(self)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        ws = self._ws
        self._heard_at = self._loop.time()
        ws.receive_data(data)
        for event in ws.events_received():
            if type(event) is Frame:
                if event.opcode is Opcode.BINARY and event.fin and self._session is not None:
                    self._session.on_binary(event.data)  # type: ignore[arg-type]
                else:
                    self._on_frame(event)
            elif isinstance(event, Request):
                self._on_request(event)
        if ws.writes:
            self._write()
        if ws.parser_exc is not None and self._session is not None:
            self._session.on_closed(ABNORMAL)

    def eof_received(self) -> bool:
        self._ws.receive_eof()
        self._write()
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        self._server.connections.discard(self)
        self._ws.receive_eof()
        if self._session is not None:
            self._session.on_closed(ABNORMAL)

    # What a session does with its connection

    def send_text(self, text: str) -> None:
        """Send a text message; without effect once the connection is closing."""
        if self._ws.state is State.OPEN:
            self._ws.send_text(text.encode())
            self._write()

    def close(self, code: int) -> None:
        """Begin the closing handshake; without effect once it is under way."""
        if self._ws.state is State.OPEN:
            self._ws.send_close(code)
            self._closing_at = self._loop.time()
            self._write()

    def go_away(self) -> None:
        """Send the client away (1001) without ending its call: it may come back to another streamer."""
        self.close(1001)
        if self._session is not None:
            self._session.on_closed(ABNORMAL)

    def abort(self) -> None:
        """End the connection at once."""
        self._transport.abort()

    def check(self, now: float) -> None:
        """Once a second: is the client still there?"""
        settings = self._settings
        if self._closing_at is not None:
            if now - self._closing_at > CLOSE_TIMEOUT_S:
                self.abort()
        elif self._session is None:
            if now - self._opened_at > settings.streamer_handshake_timeout:
                self.abort()
        elif self._pinged_at is not None and self._heard_at >= self._pinged_at:
            self._pinged_at = None
        elif now - self._heard_at < settings.streamer_ping_after:
            pass
        elif self._pinged_at is None:
            self._pinged_at = now
            self._ws.send_ping(b"")
            self._write()
        elif now - self._pinged_at > settings.streamer_pong_timeout:
            self._counters.silent_clients_dropped += 1
            log.warning("a client is silent and doesn't answer a ping", call_id=self._session.call_id)
            self.abort()

    # The protocol's events

    def _on_frame(self, frame: Frame) -> None:
        session = self._session
        if session is None:
            return
        match frame.opcode:
            case Opcode.TEXT | Opcode.BINARY if not frame.fin:
                self._fragments = [bytes(frame.data)]
                self._fragments_are_text = frame.opcode is Opcode.TEXT
            case Opcode.TEXT:
                session.on_text(bytes(frame.data).decode(errors="replace"))
            case Opcode.CONT:
                self._fragments.append(bytes(frame.data))
                if frame.fin:
                    message, self._fragments = b"".join(self._fragments), []
                    if self._fragments_are_text:
                        session.on_text(message.decode(errors="replace"))
                    else:
                        session.on_binary(message)
            case Opcode.CLOSE if self._ws.close_rcvd is not None:
                session.on_closed(self._ws.close_rcvd.code)

    def _on_request(self, request: Request) -> None:
        path = request.path.partition("?")[0]
        page = self._server.pages.get(path)
        if page is not None:
            self._answer(page() if request.method == "GET" else _plain(405, "expected GET"))
            return
        verdict = self._server.gate.judge(request.path, _authorization(request))
        if isinstance(verdict, Admission) and (reason := self._server.refuses(verdict)):
            verdict = Refusal(503, reason)
        if isinstance(verdict, Refusal):
            self._counters.connections_refused += 1
            # Neither path nor query: they may hold the token.
            log.warning("a connection was refused", status=verdict.status, reason=verdict.text)
            self._answer(_plain(verdict.status, verdict.text))
            return
        response = self._ws.accept(request)
        self._ws.send_response(response)
        self._write()
        if response.status_code != 101:
            return
        self._session = MediaSession(
            self._server.context,
            self,
            call_id=verdict.call_id,
            sample_rate=verdict.sample_rate,
            channels=verdict.channels,
        )

    def _answer(self, page: Page) -> None:
        status = http.HTTPStatus(page.status)
        headers = Headers(
            [("Connection", "close"), ("Content-Length", str(len(page.body))), ("Content-Type", page.content_type)]
        )
        if status in (401, 503):
            headers.update({"WWW-Authenticate": "Bearer"} if status == 401 else {"Retry-After": "2"})
        self._ws.send_response(Response(status.value, status.phrase, headers, page.body))
        self._write()

    def _write(self) -> None:
        for data in self._ws.data_to_send():
            if data:
                self._transport.write(data)
            else:
                # The end of the stream: what was written before goes out first.
                self._transport.close()
                self._closing_at = self._closing_at or self._loop.time()
        if self._transport.get_write_buffer_size() > WRITE_BUFFER_MAX_BYTES:
            self._counters.slow_readers_dropped += 1
            log.warning("a client does not read what it is sent")
            self.abort()


def _authorization(request: Request) -> str | None:
    try:
        return request.headers.get("Authorization")
    except MultipleValuesError:
        return None


def _plain(status: int, text: str) -> Page:
    return Page(status, "text/plain; charset=utf-8", f"{text}\n".encode())
