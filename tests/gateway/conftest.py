"""One gateway process for a module's tests, with every secret set, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from callbus.broker import Broker
from support.gateway_process import Gateway, gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN, API_KEY, PATH_SECRET


@pytest.fixture(scope="module")
def running(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(
        tmp_path_factory.mktemp("gateway"),
        REDIS_URL=redis_server,
        RINGOVER_WEBHOOK_SECRET=f"the-next-key, {KEY}",
        RINGOVER_WEBHOOK_PATH_SECRET=PATH_SECRET,
        RINGOVER_API_KEY=API_KEY,
        ADMIN_TOKEN=ADMIN,
    ) as process:
        yield process


@pytest.fixture
async def client(running: Gateway, broker: Broker) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=running.url, timeout=20) as client:
        yield client
