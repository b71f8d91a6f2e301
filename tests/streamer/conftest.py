"""One streamer process with a Redis of its own for all tests that don't stop or starve it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

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
async def bus(own_redis: str) -> AsyncIterator[Broker]:
    """A connection to the streamer's Redis."""
    broker = Broker(own_redis)
    try:
        yield broker
    finally:
        await broker.aclose()


async def _keys_without_ttl(url: str) -> list[bytes]:
    broker = Broker(url)
    try:
        found = await broker.execute("KEYS", "*")
        return [key for key in found if key not in IMMORTAL and await broker.execute("TTL", key) == -1]
    finally:
        await broker.aclose()
