"""The load: a media server's side of many calls in a process of its own, at as little cost as real audio allows.

`python -m bench.scale.load` reads orders and writes replies, one line of JSON each; see `serve`. Every call is a real
WebSocket with one 320-byte message every 20 ms, begun and ended with Ringover's signed webhooks. Messages are made (and
masked) beforehand, and written straight to the socket; the calls' ticks are spread evenly over the 20 ms.
"""

from __future__ import annotations

import asyncio
import json
import logging
import struct
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvloop
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Origin
from websockets.uri import parse_uri

from bench.scale.caller import Caller, Tally
from bench.scale.wire import FRAME_S, Clip, clips, line_noise
from ringover_sim.media import HANDSHAKE_TIMEOUT_S, SEND_BUFFER, metadata, target
from ringover_sim.script import Media
from ringover_sim.webhooks import Parties, WebhookSender

SLOTS = 10
NOISES = 8
STARTED_A_SECOND = 20.0
PING_EVERY = 50
"""Frames: once a second."""

_log = logging.getLogger("websockets.client")


@dataclass(frozen=True, slots=True)
class Where:
    """The system under load."""

    gateway_url: str
    streamer_url: str
    secret: str


class Connection(asyncio.Protocol):
    """One call's WebSocket. `opened` is done when the handshake is."""

    def __init__(self, url: str, caller: Caller, tally: Tally) -> None:
        self._loop = asyncio.get_running_loop()
        self._ws = ClientProtocol(parse_uri(url), origin=Origin("http://" + urlsplit(url).netloc), logger=_log)
        self._caller, self._tally = caller, tally
        self._transport: Any = None
        self._frames = 0
        self._hung_up = False
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()

    @property
    def live(self) -> bool:
        return self.opened.done() and not self.closed.done() and not self._hung_up

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._ws.send_request(self._ws.connect())
        self._flush()

    def data_received(self, data: bytes) -> None:
        self._ws.receive_data(data)
        for event in self._ws.events_received():
            if isinstance(event, Response):
                if self._ws.handshake_exc is not None:
                    self.opened.set_exception(self._ws.handshake_exc)
                else:
                    self.opened.set_result(None)
            elif isinstance(event, Frame):
                self._on_frame(event)
        self._flush()

    def eof_received(self) -> bool:
        self._ws.receive_eof()
        self._flush()
        return False

    def connection_lost(self, _error: Exception | None) -> None:
        if self.live:
            self._tally.lost += 1
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the streamer closed before the handshake was over"))
        self.closed.set_result(None)

    def send_text(self, text: str) -> None:
        self._ws.send_text(text.encode())
        self._flush()

    def tick(self, now: float) -> None:
        """20 ms have passed."""
        self._frames += 1
        if self._frames % PING_EVERY == 0:
            # Answered by the streamer in the order of the frames: so long does a frame wait to be read.
            self._ws.send_ping(struct.pack("d", self._loop.time()))
            self._flush()
            if self._transport.get_write_buffer_size() > SEND_BUFFER:
                self._tally.not_sent += PING_EVERY
                return
        self._transport.write(self._caller.next_message(now))
        self._tally.sent += 1

    def hang_up(self) -> None:
        self._hung_up = True
        if not self.closed.done():
            self._ws.send_close(1000)
            self._flush()

    def _on_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.TEXT:
            self._caller.heard(bytes(frame.data).decode(), self._loop.time())
        elif frame.opcode is Opcode.PONG:
            (sent,) = struct.unpack("d", frame.data)
            self._tally.pings_ms.append(1000 * (self._loop.time() - sent))

    def _flush(self) -> None:
        for data in self._ws.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()


class Load:
    """Calls that go on until they are ended."""

    def __init__(self, where: Where, client: httpx.AsyncClient) -> None:
        self.tally = Tally()
        self._where, self._client = where, client
        self._clips, self._noises = clips(), [line_noise(seed) for seed in range(NOISES)]
        self._slots: list[list[Connection]] = [[] for _ in range(SLOTS)]
        self._calls: list[tuple[Connection, Caller, WebhookSender]] = []

    async def add(self, count: int) -> None:
        """So many more calls, which only listen. Raises whatever keeps a call from beginning."""
        for _ in range(count):
            async with asyncio.timeout(10):
                await self._begin(len(self._calls))
            await asyncio.sleep(1 / STARTED_A_SECOND)

    def talk(self, talks: bool) -> None:
        """Let all callers speak, or only listen."""
        now = asyncio.get_running_loop().time()
        for _, caller, _ in self._calls:
            caller.talk(talks, now)

    async def run(self) -> None:
        """Send, until cancelled; a late tick is made up for at once, never skipped."""
        loop = asyncio.get_running_loop()
        began, tick, step = loop.time(), 0, FRAME_S / SLOTS
        while True:
            tick += 1
            due = began + tick * step
            await asyncio.sleep(max(0.0, due - loop.time()))
            now = loop.time()
            self.tally.late_ms.append(1000 * (now - due))
            for call in self._slots[tick % SLOTS]:
                if call.live:
                    call.tick(now)

    async def end(self) -> None:
        """Every caller hangs up."""
        for call, _, _ in self._calls:
            call.hang_up()
        async with asyncio.timeout(10):
            await asyncio.gather(*(call.closed for call, _, _ in self._calls))
        for _, _, sender in self._calls:
            await sender.deliver("hangup")

    async def _begin(self, number: int) -> None:
        media = Media()
        parties = Parties(f"load-{number:05}", f"336{number:08}", "33184800000")
        sender = WebhookSender(self._client, self._where.gateway_url, self._where.secret, parties)
        await sender.deliver("ringing")
        await sender.deliver("answered")
        url = target(self._where.streamer_url, media, parties.call_id, None).url
        noise: Clip = self._noises[number % NOISES]
        caller = Caller(self._clips, noise, self.tally, seed=number)
        connection = Connection(url, caller, self.tally)
        parts = urlsplit(url)
        await asyncio.get_running_loop().create_connection(lambda: connection, parts.hostname or "", parts.port or 80)
        async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
            await connection.opened
        connection.send_text(metadata(media, parties))
        self._calls.append((connection, caller, sender))
        self._slots[number % SLOTS].append(connection)


async def serve(where: Where) -> None:
    """Orders on standard input: {"add": N}, {"talk": true}, {"tally": true}, {"end": true}; each is answered by
    the tally."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        load = Load(where, client)
        running = asyncio.create_task(load.run())
        try:
            while line := await reader.readline():
                order = json.loads(line)
                if "add" in order:
                    await load.add(order["add"])
                elif "talk" in order:
                    load.talk(order["talk"])
                elif "end" in order:
                    await load.end()
                sys.stdout.write(json.dumps(load.tally.take()) + "\n")
                sys.stdout.flush()
        finally:
            running.cancel()
            await asyncio.wait([running])


if __name__ == "__main__":
    uvloop.run(serve(Where(**json.loads(sys.argv[1]))))
