"""A bad network between media servers and the streamer: it loses messages, stalls, and breaks connections."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from support.tcp_proxy import TcpProxy, pass_on

BINARY = 2


class PoorLine(TcpProxy):
    """For WebSockets: `url` is its own, to be used in place of the streamer's.

    `loss` is the share of the clients' binary messages that are lost. What the server says passes unharmed.
    """

    def __init__(self, host: str, port: int, *, seed: int = 1) -> None:
        super().__init__(host, port)
        self.loss = 0.0
        self.lost = 0
        """Binary messages lost so far."""
        self.cuts = 0
        """Connections broken so far."""
        self._random = random.Random(seed)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    async def stall(self, seconds: float) -> None:
        """Nothing of the clients' gets through for so long; then all of it, at once."""
        self._flowing.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._flowing.set()

    def cut(self) -> None:
        """Break every connection, without a word, on both sides."""
        self.cuts += len(self._writers) // 2
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See TcpProxy."""
        both, ways = {writer}, list[asyncio.Task[None]]()
        try:
            there, back = await asyncio.open_connection(*self.target)
            both.add(back)
            self._writers |= both
            ways = [asyncio.create_task(self._spoil(reader, back)), asyncio.create_task(self._back(there, writer))]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            return  # The streamer is away: the client finds out by itself.
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for stream in both:
                stream.close()
            self._writers -= both

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await pass_on(reader, writer)

    async def _spoil(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(await reader.readuntil(b"\r\n\r\n"))
            while True:
                opcode, frame = await _frame(reader)
                await self._flowing.wait()
                if opcode == BINARY and self._random.random() < self.loss:
                    self.lost += 1
                    continue
                writer.write(frame)
        except (asyncio.IncompleteReadError, OSError):
            return


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One masked WebSocket frame (RFC 6455, 5.2): its opcode, and all of its bytes."""
    head = await reader.readexactly(2)
    size = head[1] & 0x7F
    extended = await reader.readexactly({126: 2, 127: 8}.get(size, 0))
    if extended:
        size = int.from_bytes(extended, "big")
    return head[0] & 0x0F, head + extended + await reader.readexactly(4 + size)
