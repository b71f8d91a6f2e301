"""The gateway's HTTP server around any application, one whose answer is endless, and a client that reads nothing."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from webhook_gateway import deadlines

GIVE_UP_S = 5.0


class EndlessAnswer:
    """More than any buffer takes. `ended`: it was sent, or the client was given up."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for _ in range(1000):
                await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        finally:
            self.ended.set()


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[tuple[str, int]]:
    """The application on a socket, for the length of a block."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, http=deadlines.DeadlineProtocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        host, port = listener.getsockname()
        yield host, port
    finally:
        server.should_exit = True
        await task
        listener.close()


async def read_nothing(address: tuple[str, int], head: bytes, answer: EndlessAnswer) -> None:
    """Ask with `head` for an endless answer, and read none of it until it ends. Raises TimeoutError when it goes on."""
    _, writer = await asyncio.open_connection(*address, limit=1024)
    try:
        writer.write(head)
        async with asyncio.timeout(GIVE_UP_S):
            await answer.ended.wait()
    finally:
        writer.transport.abort()
