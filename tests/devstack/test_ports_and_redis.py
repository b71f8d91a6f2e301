"""Free ports, taken ports, and embedded servers that don't share one."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from callbus.broker import connect
from devstack.embedded_redis import embedded_redis
from devstack.errors import PortTaken
from devstack.ports import free_port, require_free


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=rf"port {port}, wanted for the gateway, is taken .*GATEWAY_PORT=8001") as e:
            require_free(port, "the gateway", "GATEWAY_PORT=8001")
        assert "\n" not in str(e.value)


def test_a_free_port_is_free() -> None:
    require_free(free_port(), "a test", "nothing")


async def test_two_embedded_servers_are_two(tmp_path: Path) -> None:
    with embedded_redis(tmp_path / "a") as first, embedded_redis(tmp_path / "b") as second:
        assert first != second
        async with connect(first) as one, connect(second) as two:
            await one.execute("SET", "who", "first")
            assert await two.execute("GET", "who") is None


async def test_a_durable_server_keeps_its_data(tmp_path: Path) -> None:
    for expected in (None, b"yes"):
        with embedded_redis(tmp_path, durable=True) as url:
            async with connect(url) as broker:
                assert await broker.execute("GET", "kept") == expected
                await broker.execute("SET", "kept", "yes")
