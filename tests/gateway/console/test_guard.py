"""An answer of the console may take long, as long as its client reads it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from support.gateway_serving import EndlessAnswer, read_nothing, serving
from webhook_gateway import deadlines
from webhook_gateway.console.guard import Guard

TIMEOUT_S = 0.4
HEAD = b"GET /console/api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_who_reads_slowly_gets_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "REQUEST_TIMEOUT_S", TIMEOUT_S)

    async def slow(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(12):
            await asyncio.sleep(TIMEOUT_S / 4)
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await send({"type": "http.response.body", "body": b"the end"})

    async with serving(Guard(slow, phone="wss:")) as address, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*address)
        writer.write(HEAD)
        assert b"the end" in await reader.read()
        writer.close()


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "REQUEST_TIMEOUT_S", TIMEOUT_S)
    answer = EndlessAnswer()
    async with serving(Guard(answer, phone="wss:")) as address:
        await read_nothing(address, HEAD, answer)
