"""One TCP connection of the streamer's port: a media WebSocket, or a plain HTTP request.

The protocol is the Sans-I/O one of `websockets`, called from an asyncio.Protocol: no task, no queue and no future for a
message that arrives.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING, Any

import structlog
from websockets.datastructures import MultipleValuesError
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from streamer.frames import FrameCutter, whole_message
from streamer.gate import Admission, Refusal
from streamer.pace import Pace
from streamer.pages import Page, plain
from streamer.session import MediaSession

if TYPE_CHECKING:
    from streamer.server import MediaServer

MESSAGE_MAX_BYTES = 1 << 17
"""8 s of audio at 8000 Hz. The other calls wait while a message is read."""
HANDSHAKE_MAX_BYTES = 32 << 10
READ_SLICE_BYTES = 4 << 10
SLICES_A_TURN = 4
SEND_BUFFER_BYTES = 256 << 10
"""In the kernel, which else takes megabytes for a client that reads nothing."""
WRITE_BUFFER_MAX_BYTES = 1 << 20
"""A client that lets so much lie unread reads nothing any more."""
CLOSE_TIMEOUT_S = 5.0
ABNORMAL = 1006

log = structlog.get_logger()
_protocol_log = logging.getLogger("websockets.server")


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
        self._cutter: FrameCutter | None = None
        self._fragments: list[bytes] = []
        self._fragments_are_text = False
        self._handshake_bytes = 0
        self._pace = Pace(self._loop.time())
        self._held = bytearray()
        """Received and not read yet; meanwhile nothing more is received."""
        self._reading_on: asyncio.TimerHandle | None = None
        self._heard_at = self._opened_at = self._loop.time()
        self._pinged_at: float | None = None
        self._closing_at: float | None = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._server.arrived(self)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        now = self._heard_at = self._loop.time()
        if self._session is None:
            self._handshake_bytes += len(data)
            if self._handshake_bytes > HANDSHAKE_MAX_BYTES:
                self.drop_handshake()
                return
        if len(data) <= READ_SLICE_BYTES and not self._held and self._pace.allows(now):
            self._read(data)
            return
        self._held += data
        if self._reading_on is None:
            self._transport.pause_reading()
            self._read_on()

    def _read_on(self) -> None:
        """A turn of what a client has sent that is faster than any call: the others have theirs in between."""
        self._reading_on = None
        now = self._loop.time()
        slices = SLICES_A_TURN
        while self._held and slices and self._pace.allows(now) and not self._transport.is_closing():
            data = bytes(self._held[:READ_SLICE_BYTES])
            del self._held[:READ_SLICE_BYTES]
            self._read(data)
            slices -= 1
        if self._transport.is_closing():
            self._held.clear()
        elif self._held:
            self._reading_on = self._loop.call_later(self._pace.wait_s, self._read_on)
        else:
            self._transport.resume_reading()

    def _read(self, data: bytes) -> None:
        session, cutter = self._session, self._cutter
        if session is None or cutter is None:
            self._parse(data)
            # The next byte is a frame's first; a client that sent frames before our answer is read by the parser alone.
            if self._session is not None and data.endswith(b"\r\n\r\n"):
                self._cutter = FrameCutter(MESSAGE_MAX_BYTES)
            return
        if cutter.at_a_frame and (message := self._message(data)) is not None:
            self._pace.spend(1, len(data))
            session.caller.on_binary(message)
            return
        for frame in cutter.cut(data):
            if (message := self._message(frame)) is not None:
                self._pace.spend(1, len(frame))
                session.caller.on_binary(message)
            else:
                self._parse(frame)
            if self._transport.is_closing():
                return

    def _message(self, frame: bytes) -> bytes | None:
        """A whole binary message's payload; None for what the parser has to see."""
        if self._fragments or self._ws.state is not State.OPEN:
            return None
        return whole_message(frame)

    def _parse(self, data: bytes) -> None:
        ws = self._ws
        ws.receive_data(data)
        events = ws.events_received()
        self._pace.spend(len(events), len(data))
        for event in events:
            if type(event) is Frame:
                if event.opcode is Opcode.BINARY and event.fin and self._session is not None:
                    self._session.caller.on_binary(event.data)  # type: ignore[arg-type]
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
        self._server.left(self)
        if self._reading_on is not None:
            self._reading_on.cancel()
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

    def drop_handshake(self) -> None:
        """End a connection that never got a session."""
        self._server.handshakes.pop(self, None)
        self._counters.handshakes_dropped += 1
        self.abort()

    def check(self, now: float) -> None:
        """Once a second: is the client still there?"""
        settings = self._settings
        if self._closing_at is not None:
            if now - self._closing_at > CLOSE_TIMEOUT_S:
                self.abort()
        elif self._session is None:
            if now - self._opened_at > settings.streamer_handshake_timeout:
                self.drop_handshake()
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
                self._on_text(session, bytes(frame.data))
            case Opcode.CONT:
                # Empty ones count for nothing in the message's size, and could go on for ever.
                if frame.data:
                    self._fragments.append(bytes(frame.data))
                if frame.fin:
                    message, self._fragments = b"".join(self._fragments), []
                    if self._fragments_are_text:
                        self._on_text(session, message)
                    else:
                        session.caller.on_binary(message)
            case Opcode.CLOSE if self._ws.close_rcvd is not None:
                session.on_closed(self._ws.close_rcvd.code)

    def _on_text(self, session: MediaSession, message: bytes) -> None:
        self._pace.spend_told(session.caller.on_text(message.decode(errors="replace")))

    def _on_request(self, request: Request) -> None:
        path = request.path.partition("?")[0]
        page = self._server.pages.get(path)
        if page is not None:
            self._answer(page() if request.method == "GET" else plain(405, "expected GET"))
            return
        verdict = self._server.gate.judge(request.path, _authorization(request), now=time.time())
        if isinstance(verdict, Admission):
            verdict = self._server.refuses(verdict) or verdict
        if isinstance(verdict, Refusal):
            self._server.context.refusals.note(verdict.status, verdict.text)
            self._answer(plain(verdict.status, verdict.text))
            return
        response = self._ws.accept(request)
        self._ws.send_response(response)
        self._write()
        if response.status_code != 101:
            return
        self._server.handshakes.pop(self, None)
        self._session = MediaSession(
            self._server.context,
            self,
            call_id=verdict.call_id,
            sample_rate=verdict.sample_rate,
            channels=verdict.channels,
        )

    def _answer(self, page: Page) -> None:
        self._ws.send_response(page.response())
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
            call_id = self._session.call_id if self._session else None
            log.warning("a client does not read what it is sent", call_id=call_id)
            self.abort()


def _authorization(request: Request) -> str | None:
    try:
        return request.headers.get("Authorization")
    except MultipleValuesError:
        return None
