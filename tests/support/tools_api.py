"""An HTTP server that answers as it is told, byte by byte if need be, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came: the target is raw, header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer: TypeAlias = bytes | Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class ToolApi:
    """`answer` is all that is sent, or a function that sends it."""

    url: str
    answer: Answer
    asked: list[Asked] = field(default_factory=list)


def reply(body: bytes, *, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    """A whole answer. `more` are further header lines, each with its CRLF."""
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}Connection: close\r\n\r\n"
    )
    return head.encode() + body


_OK = reply(b'{"ok": true}')


@asynccontextmanager
async def tool_api(answer: Answer = _OK) -> AsyncIterator[ToolApi]:
    """A server on a free port of this machine."""
    api = ToolApi("", answer)
    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(task := asyncio.current_task())
        try:
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            asked = Asked(method, target, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
            api.asked.append(asked)
            if isinstance(api.answer, bytes):
                writer.write(api.answer)
            else:
                await api.answer(asked, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            serving.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield api
    finally:
        server.close()
        left = [task for task in serving if task]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
