"""One streamer process with a Redis of its own for all tests that don't stop or starve it, and the way into it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from callbus.broker import Broker
from devstack.embedded_redis import embedded_redis
from support.streamer_process import Streamer, streamer

TOKEN = "a-secret-token"
IMMORTAL = {b"calls:events", b"calls:waiting"}
"""Trimmed by length: the only keys without a TTL."""


@pytest.fixture(scope="session")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Not the one that tests empty: the streamer's keys must stay."""
    with embedded_redis(tmp_path_factory.mktemp("streamer-redis")) as url:
        yield url
        assert asyncio.run(_keys_without_ttl(url)) == []


@pytest.fixture(scope="session")
def running(own_redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamer]:
    settings = {
        "STREAMER_TOKEN": TOKEN,
        "STREAMER_MAX_CALLS": "6",
        "STREAMER_HANDSHAKE_TIMEOUT": "1",
        "STREAMER_PING_AFTER": "1",
        "STREAMER_PONG_TIMEOUT": "1",
    }
    with streamer(tmp_path_factory.mktemp("streamer"), own_redis, **settings) as process:
        yield process


@pytest.fixture
def call_id(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name[:60].strip('_').replace('[', '.').replace(']', '')}-{time.time_ns() % 10**9}"


@pytest.fixture
def dial(running: Streamer) -> Callable[..., Any]:
    """Open a media connection."""

    @asynccontextmanager
    async def open_(call_id: str | None = None, query: str = "") -> AsyncIterator[ClientConnection]:
        path = f"/ws/{call_id}" if call_id else "/ws"
        async with connect(running.url(f"{path}?token={TOKEN}{query}"), max_size=None) as client:
            yield client

    return open_


async def _keys_without_ttl(url: str) -> list[bytes]:
    broker = Broker(url)
    try:
        found = await broker.execute("KEYS", "*")
        return [key for key in found if key not in IMMORTAL and await broker.execute("TTL", key) == -1]
    finally:
        await broker.aclose()
