"""A bad network between media servers and the streamer: it loses messages, stalls, and breaks connections."""

from __future__ import annotations

import asyncio
import random
from types import TracebackType
from typing import Self

BINARY = 2


class PoorLine:
    """`async with` stands before `host:port`, for WebSockets; `url` is its own, to be used in place of the streamer's.

    `loss` is the share of the clients' binary messages that are lost. What the server says passes unharmed.
    """

    def __init__(self, host: str, port: int, *, seed: int = 1) -> None:
        self.loss = 0.0
        self.lost = 0
        """Binary messages lost so far."""
        self.cuts = 0
        """Connections broken so far."""
        self._target = (host, port)
        self._random = random.Random(seed)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        assert self._server
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server
        self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await self._server.wait_closed()

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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._clients.add(task)
        both, ways = {writer}, list[asyncio.Task[None]]()
        try:
            there, back = await asyncio.open_connection(*self._target)
            both.add(back)
            self._writers |= both
            ways = [asyncio.create_task(self._spoil(reader, back)), asyncio.create_task(_pass_on(there, writer))]
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
            self._clients.discard(task)

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


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        return
