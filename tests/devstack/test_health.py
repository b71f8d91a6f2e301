"""The health check of services that listen on no port."""

from __future__ import annotations

import pytest

from callbus import health, registry
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from devstack.ports import free_port


async def test_a_ready_service_on_this_host_is_healthy(broker: Broker, redis_url: str) -> None:
    await registry.beat(broker, "worker", registry.new_service_id(), {"ready": True})
    assert await health.ready_here(redis_url, "worker")


@pytest.mark.parametrize(
    ("kind", "service_id", "ready"),
    [
        pytest.param("worker", None, False, id="still loading"),
        pytest.param("jobs", None, True, id="another kind"),
        pytest.param("worker", "elsewhere-12-abcdef", True, id="another host"),
    ],
)
async def test_anything_else_is_not(
    broker: Broker, redis_url: str, kind: str, service_id: str | None, ready: bool
) -> None:
    await registry.beat(broker, kind, service_id or registry.new_service_id(), {"ready": ready})
    assert not await health.ready_here(redis_url, "worker")


async def test_no_redis_is_an_error_that_says_so() -> None:
    with pytest.raises(BusUnavailable, match="Redis is away"):
        await health.ready_here(f"redis://127.0.0.1:{free_port()}/0", "worker")
