"""A gateway whose clients take their time: each is cut off, and honest webhooks are answered meanwhile."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from callbus.broker import Broker
from support.attackers import attack, dribble
from support.gateway_process import ENDPOINT, Gateway
from support.gateway_serving import EndlessAnswer, read_nothing, serving
from support.gateway_webhooks import envelope, post, published
from webhook_gateway import deadlines
from webhook_gateway.deadlines import HEAD_TIMEOUT_S
from webhook_gateway.intake import BODY_TIMEOUT_S

pytestmark = pytest.mark.faults


async def test_slow_clients_are_cut_off_and_webhooks_are_taken_meanwhile(
    running: Gateway, client: httpx.AsyncClient, broker: Broker, connections: int
) -> None:
    port = httpx.URL(running.url).port
    assert port
    head = f"POST {ENDPOINT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    attacks = asyncio.gather(
        attack("dribble", port, 100),
        attack("silence", port, connections),
        attack("swell", port, 50),
        dribble(port, f"{head}\r\n".encode() + b"{" * 900, 0.004),
        # One whole request, and the beginning of another on the same connection.
        dribble(port, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /hea", 0.01),
    )
    number, slowest = 0, 0.0
    while not attacks.done():
        began = time.monotonic()
        assert (await post(client, envelope("ringing", f"c{number}"))).status_code == 202
        slowest = max(slowest, time.monotonic() - began)
        number += 1
        await asyncio.wait([attacks], timeout=0.1)
    headers, silence, swollen, body, second = await attacks
    assert number > 10
    assert slowest < 1.5
    assert len(await published(broker)) == number
    assert (headers["closed"], silence["closed"]) == (100, connections)
    assert HEAD_TIMEOUT_S - 0.5 < headers["longest_s"] < HEAD_TIMEOUT_S + 4
    assert silence["longest_s"] < HEAD_TIMEOUT_S + 4
    assert BODY_TIMEOUT_S < body < BODY_TIMEOUT_S + 5
    assert second < HEAD_TIMEOUT_S + 4
    # What the kernel takes on both sides comes on top of the 256 KiB that a request's head may have.
    assert swollen["most_sent"] < 8 << 20


async def test_a_client_that_does_not_read_its_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "REQUEST_TIMEOUT_S", 0.3)
    answer = EndlessAnswer()
    async with serving(answer) as address:
        await read_nothing(address, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", answer)
