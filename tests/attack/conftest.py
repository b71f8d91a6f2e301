"""A gateway and a streamer to attack, each one process for a module's tests, and the size of the large attacks."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from callbus.broker import Broker
from devstack.embedded_redis import embedded_redis
from support.gateway_process import Gateway, gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN, API_KEY, PATH_SECRET
from support.streamer_process import Streamer, streamer

TOKEN = "the-media-servers-token"
HANDSHAKE_TIMEOUT_S = 2.0


@pytest.fixture(scope="session")
def connections() -> int:
    """Connections of the large attacks: ATTACK_CONNECTIONS=10000 for the full form."""
    return int(os.environ.get("ATTACK_CONNECTIONS", "500"))


@pytest.fixture(scope="module")
def own_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Not the one that tests empty: a streamer's keys must stay."""
    with embedded_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(scope="module")
def attacked(own_redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamer]:
    settings = {"STREAMER_TOKEN": TOKEN, "STREAMER_HANDSHAKE_TIMEOUT": str(HANDSHAKE_TIMEOUT_S)}
    with streamer(tmp_path_factory.mktemp("streamer"), own_redis, **settings) as process:
        yield process
        expected = {"falling back"}
        assert [line for line in process.logged() if line["level"] == "error" and line["event"] not in expected] == []


@pytest.fixture(scope="module")
def running(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(
        tmp_path_factory.mktemp("gateway"),
        REDIS_URL=redis_server,
        RINGOVER_WEBHOOK_SECRET=KEY,
        RINGOVER_WEBHOOK_PATH_SECRET=PATH_SECRET,
        RINGOVER_API_KEY=API_KEY,
        ADMIN_TOKEN=ADMIN,
        WEBHOOK_PUBLIC_URL="https://bot.example.com",
    ) as process:
        yield process
        assert [line for line in process.logged() if line["level"] == "error"] == []
        assert 'outcome="error"' not in httpx.get(process.url + "/metrics").text


@pytest.fixture
async def client(running: Gateway, broker: Broker) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=20) as client:
        yield client


@pytest.fixture
def token() -> str:
    return TOKEN


@pytest.fixture
def handshake_timeout() -> float:
    return HANDSHAKE_TIMEOUT_S
