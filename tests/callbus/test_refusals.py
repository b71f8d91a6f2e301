"""A Redis that answers and takes no commands (full, unable to save, in a fail-over) is one that is away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from redis.exceptions import ResponseError

from ai_worker.jobs.queue import JobQueue
from callbus import registry
from callbus.broker import Broker, until_available, xadd_template
from callbus.errors import BusUnavailable
from devstack.embedded_redis import embedded_redis
from support.waiting import until

_WRITE = "redis.call('HSET', KEYS[1], 'field', ARGV[1])"
Command: TypeAlias = tuple[Any, ...]

STATES: dict[str, tuple[list[Command], list[Command]]] = {
    "OOM": ([("CONFIG", "SET", "maxmemory", "1")], [("CONFIG", "SET", "maxmemory", "0")]),
    "NOREPLICAS": (
        [("CONFIG", "SET", "min-replicas-to-write", "1")],
        [("CONFIG", "SET", "min-replicas-to-write", "0")],
    ),
    "READONLY": ([("REPLICAOF", "127.0.0.1", "1")], [("REPLICAOF", "NO", "ONE")]),
}
"""What brings Redis into a state, and out of it."""


@pytest.fixture(scope="module")
def own_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server that the tests may put out of order, and its folder."""
    folder = tmp_path_factory.mktemp("redis")
    with embedded_redis(folder) as url:
        yield url, folder


@pytest.fixture
async def broker(own_url: tuple[str, Path]) -> AsyncIterator[Broker]:
    broker = Broker(own_url[0], timeout=1.0)
    yield broker
    await broker.execute("FLUSHALL")
    await broker.aclose()


async def refused(what: Callable[[], Awaitable[Any]]) -> str:
    with pytest.raises(BusUnavailable, match="Redis is away: ") as refusal:
        await what()
    return str(refusal.value)


async def _refuses_every_way(broker: Broker, url: str) -> None:
    jobs = JobQueue(url)
    hot = xadd_template("s", {}, [b"n"], maxlen=10) % (1, b"1")
    await refused(lambda: broker.execute("SET", "a", 1))
    told = await refused(lambda: broker.pipeline([("SET", "a", "words of a caller"), ("GET", "a")]))
    assert "words of a caller" not in told
    await refused(lambda: broker.script(_WRITE, ["h"], [1]))
    await refused(lambda: broker.append("s", {b"n": b"1"}, maxlen=10))
    await refused(lambda: broker.burst([hot]))
    await refused(lambda: registry.beat(broker, "worker", "w1", {}))
    await refused(lambda: jobs.record("c1"))
    await jobs.aclose()


async def _works_every_way(broker: Broker, url: str) -> None:
    jobs = JobQueue(url)
    await broker.execute("SET", "a", 1)
    await broker.script(_WRITE, ["h"], [1])
    assert await until_available(lambda: broker.burst([("SET", "a", 2)])) == [b"OK"]
    await jobs.record("c1")
    await jobs.aclose()


@pytest.mark.parametrize("state", STATES)
async def test_a_redis_that_takes_no_commands_is_away(state: str, broker: Broker, own_url: tuple[str, Path]) -> None:
    into, out_of = STATES[state]
    await broker.pipeline(into)
    try:
        await _refuses_every_way(broker, own_url[0])
    finally:
        await broker.pipeline(out_of)
    await _works_every_way(broker, own_url[0])


async def test_a_redis_that_could_not_save_is_away(broker: Broker, own_url: tuple[str, Path]) -> None:
    url, folder = own_url
    in_the_way = folder / "dump.rdb"

    async def saved() -> str:
        await broker.execute("BGSAVE")
        await until(lambda: _persistence(broker, "rdb_bgsave_in_progress", 0))
        about = await broker.execute("INFO", "persistence")
        return str(about["rdb_last_bgsave_status"])

    # Any that is there is of another test of this module's.
    in_the_way.unlink(missing_ok=True)
    in_the_way.mkdir()
    await broker.execute("CONFIG", "SET", "save", "3600 1")
    try:
        assert await saved() == "err"
        await _refuses_every_way(broker, url)
    finally:
        in_the_way.rmdir()
        assert await saved() == "ok"
        await broker.execute("CONFIG", "SET", "save", "")
    await _works_every_way(broker, url)


async def _persistence(broker: Broker, name: str, value: object) -> bool:
    return bool((await broker.execute("INFO", "persistence"))[name] == value)


async def test_what_is_wrong_with_one_command_is_not_redis_being_away(broker: Broker) -> None:
    await broker.execute("SET", "OOM", "x")
    for what in (
        lambda: broker.execute("XLEN", "OOM"),
        lambda: broker.pipeline([("SET", "b", "of pipeline caused error: ('OOM"), ("XLEN", "OOM")]),
        lambda: broker.script("return redis.call('XLEN', KEYS[1])", ["OOM"], []),
    ):
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await what()
    await broker.execute("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    with pytest.raises(ResponseError, match="BUSYGROUP"):
        await broker.execute("XGROUP", "CREATE", "s", "g", "0")
