"""A TCP proxy that can lose an answer: what was asked has arrived and was done, but nobody is told so."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self


class LosingProxy:
    """`async with` stands before `host:port`; `port` is its own. While `armed` with some bytes, the first request that
    has them in it is passed on, its answer is swallowed, and the client's connection closed; then it is armed no more.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self.armed: bytes | None = None
        self.lost = 0
        """Answers swallowed so far."""

    @property
    def port(self) -> int:
        assert self._server
        port: int = self._server.sockets[0].getsockname()[1]
        return port

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

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._clients.add(task)
        there, back = await asyncio.open_connection(*self._target)
        answers = asyncio.create_task(self._pass_on(there, writer))
        try:
            while request := await reader.read(1 << 20):
                if self.armed and self.armed in request:
                    self.armed = None
                    answers.cancel()
                    await asyncio.wait([answers])
                    back.write(request)
                    await there.read(1 << 20)
                    self.lost += 1
                    return
                back.write(request)
                await back.drain()
        finally:
            answers.cancel()
            await asyncio.wait([answers])
            for stream in (writer, back):
                stream.close()
            self._clients.discard(task)

    @staticmethod
    async def _pass_on(there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer := await there.read(1 << 20):
            writer.write(answer)
            await writer.drain()
