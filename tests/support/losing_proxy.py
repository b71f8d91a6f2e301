"""A TCP proxy that can lose an answer: what was asked has arrived and was done, but nobody is told so."""

from __future__ import annotations

import asyncio

from support.tcp_proxy import TcpProxy, pass_on


class LosingProxy(TcpProxy):
    """While `armed` with some bytes, the first request that has them in it is passed on, its answer is swallowed, and
    the client's connection closed; then it is armed no more.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__(host, port)
        self.armed: bytes | None = None
        self.lost = 0
        """Answers swallowed so far."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See TcpProxy."""
        there, back = await asyncio.open_connection(*self.target)
        answers = asyncio.create_task(pass_on(there, writer))
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
