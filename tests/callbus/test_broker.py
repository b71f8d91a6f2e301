"""The broker against a real Redis: blocking reads, streams that stay gone, outages."""

from __future__ import annotations

from pathlib import Path

import pytest

from callbus import registry
from callbus.broker import Broker, until_available
from callbus.errors import BusUnavailable
from devstack.embedded_redis import embedded_redis


async def test_reading_several_streams(broker: Broker) -> None:
    await broker.append("a", {b"n": b"1"}, maxlen=10)
    await broker.append("a", {b"n": b"2"}, maxlen=10)
    await broker.append("b", {b"n": b"3"}, maxlen=10)
    found = await broker.read({"a": b"0-0", "b": b"0-0", "c": b"0-0"})
    assert {name: [fields[b"n"] for _, fields in entries] for name, entries in found.items()} == {
        "a": [b"1", b"2"],
        "b": [b"3"],
    }
    assert await broker.last_id("a") == found["a"][-1][0]
    assert await broker.read({"a": found["a"][-1][0]}, block_ms=1) == {}
    await broker.execute("DEL", "a", "b")


async def test_a_stream_that_is_gone_stays_gone(broker: Broker) -> None:
    assert await broker.append("gone", {b"n": b"1"}, maxlen=10, create=False) is None
    assert await broker.execute("EXISTS", "gone") == 0


async def test_an_outage_is_one_error_and_ends(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "first") as url:
        broker = Broker(url, timeout=0.5)
        await broker.ping()
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    with pytest.raises(BusUnavailable, match="Redis is away"):
        await broker.ping()
    with pytest.raises(BusUnavailable):
        await broker.read({"a": b"0-0"}, block_ms=50)
    with embedded_redis(tmp_path / "second", port=port):
        await until_available(broker.ping)
        # A connection that died with the server may be met once more.
        await until_available(broker.ping)
        await broker.aclose()


async def test_services_are_listed_while_they_beat(broker: Broker) -> None:
    await registry.beat(broker, "worker", "w1", {"calls": 3})
    await registry.beat(broker, "streamer", "s1", {"sessions": 1})
    assert [(s["kind"], s["id"]) for s in await registry.running(broker)] == [("streamer", "s1"), ("worker", "w1")]
    await registry.leave(broker, "worker", "w1")
    assert [s["id"] for s in await registry.running(broker)] == ["s1"]
    # A service that died without leaving is forgotten with its heartbeat.
    await broker.execute("DEL", "service:streamer:s1")
    assert await registry.running(broker) == []


def test_service_ids_are_unlike_each_other() -> None:
    assert len({registry.new_service_id() for _ in range(50)}) == 50
