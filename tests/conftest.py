"""What every test may use: an embedded Redis, and the watch over what a test leaves behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator

import pytest

from callbus.broker import Broker
from devstack.embedded_redis import embedded_redis


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One real server for the whole run."""
    with embedded_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """An empty Redis. Keys that a test leaves without a TTL fail it: see `broker`."""
    return redis_server


# Streams with a bounded length, and what arq keeps: the only keys that may live without a TTL.
TRIMMED_KEYS = {b"calls:events", b"calls:waiting"}


@pytest.fixture
async def broker(redis_url: str) -> AsyncIterator[Broker]:
    """A connection to an empty Redis; fails the test if it leaves a key that has neither a TTL nor a trim."""
    broker = Broker(redis_url)
    await broker.execute("FLUSHDB")
    try:
        yield broker
        immortal = [
            key
            for key in await broker.execute("KEYS", "*")
            if key not in TRIMMED_KEYS and await broker.execute("TTL", key) == -1
        ]
        assert immortal == [], f"keys without a TTL: {immortal}"
        await broker.execute("FLUSHDB")
    finally:
        await broker.aclose()


@pytest.fixture
async def bus(own_redis: str) -> AsyncIterator[Broker]:
    """A connection to the Redis of a folder's own (`own_redis`), whose keys stay from test to test."""
    broker = Broker(own_redis)
    try:
        yield broker
    finally:
        await broker.aclose()


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collections between tests need not look at it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def what_is_old_stays() -> None:
    """What is alive when a module begins need not be looked at after each of its tests: it grows with every module."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """A socket or file that nobody closed warns when it is collected: here, in the test whose fault it is."""
    yield
    gc.collect()


@pytest.fixture(autouse=True)
async def no_task_left_behind(nothing_left_open: None) -> AsyncIterator[None]:
    """A task that outlives its test is a leak, and would fail another test at random."""
    before = asyncio.all_tasks()
    yield
    left = [task for task in asyncio.all_tasks() - before if not task.done() and task is not asyncio.current_task()]
    assert left == [], f"tasks left behind: {left}"
