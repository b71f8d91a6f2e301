"""The hot line against a real Redis: replies in order, refusals as values, one error for every kind of outage."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hiredis
import pytest
from redis.exceptions import ResponseError

from callbus.broker import Broker
from callbus.errors import BusUnavailable
from callbus.hotline import HotLine
from devstack.embedded_redis import embedded_redis
from support.waiting import until


@pytest.fixture
async def line(broker: Broker) -> AsyncIterator[HotLine]:
    line = broker.hot_line()
    yield line
    await line.aclose()


def pack(*commands: tuple[Any, ...]) -> bytes:
    return b"".join(hiredis.pack_command(command) for command in commands)


async def test_replies_belong_to_their_requests(line: HotLine) -> None:
    asked = [line.ask(pack(("ECHO", f"{n}"), ("ECHO", f"{n}!")), 2) for n in range(200)]
    assert await asyncio.gather(*asked) == [[b"%d" % n, b"%d!" % n] for n in range(200)]
    assert await line.ask(b"", 0) == []


async def test_whoever_gives_up_does_not_mix_up_the_others(line: HotLine) -> None:
    await line.ask(pack(("PING",)), 1)
    given_up = asyncio.create_task(line.ask(pack(("ECHO", "one")), 1))
    kept = asyncio.create_task(line.ask(pack(("ECHO", "two")), 1))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await kept == [b"two"]
    assert given_up.cancelled()


async def test_a_refused_command_is_a_value_and_the_others_are_carried_out(broker: Broker, line: HotLine) -> None:
    replies = await line.ask(pack(("SET", "hot", 1), ("XLEN", "hot"), ("DEL", "hot")), 3)
    assert isinstance(replies[1], ResponseError)
    assert str(replies[1]).startswith("WRONGTYPE")
    assert (replies[0], replies[2]) == (b"OK", 1)
    await broker.execute("SET", "hot", 1)
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await line.read({"hot": b"0-0"}, count=1)
    await broker.execute("DEL", "hot")


async def test_reading_streams(broker: Broker, line: HotLine) -> None:
    first = await broker.append("a", {b"n": b"1", b"m": b"x"}, maxlen=10)
    await broker.append("b", {b"n": b"2"}, maxlen=10)
    assert first is not None
    found = dict(await line.read({"a": b"0-0", "b": b"0-0", "c": b"0-0"}, count=10))
    assert [tuple(entry) for entry in found["a"]] == [(first, [b"n", b"1", b"m", b"x"])]
    assert list(found) == ["a", "b"]
    assert await line.read({"a": first}, count=10) == []
    assert await line.read({"a": first}, count=10, block_ms=1) == []
    waiting = asyncio.create_task(line.read({"a": first}, count=10, block_ms=5000))
    await broker.append("a", {b"n": b"3"}, maxlen=10)
    ((name, entries),) = await waiting
    assert (name, entries[0][1]) == ("a", [b"n", b"3"])
    await broker.execute("DEL", "a", "b")


async def test_an_outage_is_one_error_and_ends(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "first") as url:
        line = HotLine(url, timeout=0.5)
        await line.ask(pack(("PING",)), 1)
        blocked = asyncio.create_task(line.read({"a": b"0-0"}, count=1, block_ms=20_000))
        await asyncio.sleep(0)
    with pytest.raises(BusUnavailable, match="Redis is away"):
        await blocked
    with pytest.raises(BusUnavailable, match="Redis is away"):
        await line.ask(pack(("PING",)), 1)
    port = int(url.rsplit(":", 1)[1].split("/")[0])
    with embedded_redis(tmp_path / "second", port=port):

        async def answers() -> bool:
            try:
                return await line.ask(pack(("PING",)), 1) == [b"PONG"]
            except BusUnavailable:
                return False

        await until(answers, timeout=5)
        await line.aclose()


async def test_a_server_that_says_nothing_is_away() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        line = HotLine(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", timeout=0.1)
        others = [asyncio.create_task(line.ask(pack(("PING",)), 1)) for _ in range(3)]
        for asked in others:
            with pytest.raises(BusUnavailable, match=r"no reply within 0\.1 s"):
                await asked
        await line.aclose()


async def test_what_is_not_redis_is_said_to_be_so() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        line = HotLine(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", timeout=1.0)
        with pytest.raises(BusUnavailable, match=r"Redis is away|not Redis"):
            await line.ask(pack(("PING",)), 1)
        await line.aclose()


async def test_password_and_database(broker: Broker, line: HotLine) -> None:
    (url,) = await line.ask(pack(("CONFIG", "GET", "port")), 1)
    port = url[1].decode()
    secret = "a/b@c"
    await broker.execute("ACL", "SETUSER", "someone", "on", f">{secret}", "~*", "+@all")
    try:
        own = HotLine(f"redis://someone:{quote(secret, safe='')}@127.0.0.1:{port}/3")
        await own.ask(pack(("SET", "there", 1)), 1)
        assert await line.ask(pack(("EXISTS", "there")), 1) == [0]
        await own.ask(pack(("DEL", "there")), 1)
        await own.aclose()
        wrong = HotLine(f"redis://someone:wrong@127.0.0.1:{port}/0")
        with pytest.raises(BusUnavailable, match="WRONGPASS") as refused:
            await wrong.ask(pack(("PING",)), 1)
        assert secret not in str(refused.value)
        await wrong.aclose()
    finally:
        await broker.execute("ACL", "DELUSER", "someone")
