"""Kept-alive HTTP connections for thousands of small requests: what a request costs here is not the server's."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

BROKEN = (OSError, EOFError, TimeoutError)
"""What `Lines.ask` raises when there is no answer."""
ANSWER_TIMEOUT_S = 10.0

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Lines:
    """Up to `count` connections to 127.0.0.1:`port`, each opened when it is first needed, or again when it broke."""

    def __init__(self, port: int, count: int) -> None:
        self._port = port
        self._free: asyncio.LifoQueue[_Streams | None] = asyncio.LifoQueue()
        for _ in range(count):
            self._free.put_nowait(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while not self._free.empty():
            if streams := self._free.get_nowait():
                streams[1].close()
                await asyncio.gather(streams[1].wait_closed(), return_exceptions=True)

    async def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> tuple[int, bytes]:
        """Status and body. Raises one of BROKEN when the connection can't be made, or ends before the answer does."""
        line = await self._free.get()
        kept: _Streams | None = None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                line = line or await asyncio.open_connection("127.0.0.1", self._port)
                answer = await _exchange(*line, self._request(method, path, headers or {}, body))
                kept, line = line, None
                return answer
        finally:
            if line is not None:
                line[1].transport.abort()
            self._free.put_nowait(kept)

    def _request(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + body


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    return int(head.split(" ", 2)[1]), await reader.readexactly(int(fields["content-length"]))
