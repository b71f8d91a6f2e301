"""An answer of the console may take long, as long as its client reads it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from webhook_gateway import deadlines
from webhook_gateway.console.guard import Guard

TIMEOUT_S = 0.4
HEAD = b"GET /console/api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[tuple[str, int]]:
    """The application behind the guard, on a socket."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        Guard(app, phone="wss:"),
        http=deadlines.DeadlineProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
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


async def test_who_reads_slowly_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "REQUEST_TIMEOUT_S", TIMEOUT_S)

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(12):
            await asyncio.sleep(TIMEOUT_S / 4)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b"the end"})

    async with serving(slow) as address, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD)
        assert b"the end" in await reader.read()
        writer.close()


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "REQUEST_TIMEOUT_S", TIMEOUT_S)
    ended = asyncio.Event()

    async def large(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            for _ in range(1000):
                await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        finally:
            ended.set()

    async with serving(large) as address:
        _, writer = await asyncio.open_connection(*address, limit=1024)
        writer.write(HEAD)
        async with asyncio.timeout(5):
            await ended.wait()
        writer.transport.abort()
