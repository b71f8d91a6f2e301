"""How the gateway's process begins, what it does while Redis is away, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from callbus import registry
from callbus.broker import Broker, connect
from devstack.embedded_redis import embedded_redis
from support.gateway_process import COMMAND, ENDPOINT, environment, eventually, gateway
from support.gateway_signing import KEY, plain

BODY = b'{"event_type": "call_ringing", "call_id": "test123"}'


async def post(client: httpx.AsyncClient, body: bytes = BODY, headers: dict[str, str] | None = None) -> httpx.Response:
    signature = plain(body) if headers is None else headers
    return await client.post(ENDPOINT, content=body, headers={"content-type": "application/json", **signature})


def refusal(directory: Path, **settings: str) -> str:
    """What the gateway says when it doesn't start."""
    done = subprocess.run(
        [COMMAND], cwd=directory, env=environment(**settings), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("webhook-gateway: ")
    return line


@pytest.mark.parametrize("secret", ["", " , "])
def test_without_a_secret_it_refuses_to_start_in_one_line(tmp_path: Path, secret: str) -> None:
    line = refusal(tmp_path, RINGOVER_WEBHOOK_SECRET=secret)
    assert "RINGOVER_WEBHOOK_SECRET" in line
    assert "RINGOVER_WEBHOOK_INSECURE=1" in line


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": port, "RINGOVER_WEBHOOK_SECRET": KEY}
        line = refusal(tmp_path, **settings)
    assert "GATEWAY_PORT" in line
    assert port in line


async def test_insecure_is_possible_and_loud(tmp_path: Path, broker: Broker, redis_url: str) -> None:
    with gateway(tmp_path, REDIS_URL=redis_url, RINGOVER_WEBHOOK_INSECURE="1") as running:
        async with httpx.AsyncClient(base_url=running.url) as client:
            assert (await post(client, headers={})).status_code == 202
            assert (await post(client, headers={})).json()["status"] == "duplicate"
            assert (await post(client, b"{", headers={})).status_code == 400
            for path in ("/api/v1/calls", "/api/v1/calls/test123"):
                closed = await client.get(path, headers={"authorization": "Bearer None"})
                assert closed.status_code == 403
                assert "ADMIN_TOKEN" in closed.json()["hint"]
            assert (await client.get("/api/v1/status")).json()["webhooks"]["signed"] is False
        [warning] = [line for line in running.logged() if line["level"] == "warning" and "INSECURE" in line["event"]]
        assert "RINGOVER_WEBHOOK_SECRET" in warning["event"]


async def test_redis_away_is_503_and_it_recovers(tmp_path: Path) -> None:
    first = embedded_redis(tmp_path / "first")
    url = first.__enter__()
    try:
        with gateway(tmp_path / "gateway", REDIS_URL=url, RINGOVER_WEBHOOK_SECRET=KEY) as running:
            async with httpx.AsyncClient(base_url=running.url) as client:
                assert (await post(client)).status_code == 202
                first.__exit__(None, None, None)
                away = await post(client)
                assert (away.status_code, set(away.json())) == (503, {"error", "hint"})
                assert int(away.headers["retry-after"]) > 0
                assert (await client.get("/ready")).status_code == 503
                assert (await client.get("/health")).status_code == 200

                async def down() -> bool:
                    status = (await client.get("/api/v1/status")).json()
                    return bool(status["status"] == "down" and status["redis"] == {"reachable": False})

                await eventually(down)
                with embedded_redis(tmp_path / "second", port=httpx.URL(url).port):
                    # Its data is gone, as after a crash without persistence: the retry is what brings the event.
                    assert (await post(client)).status_code == 202
                    assert (await client.get("/ready")).status_code == 200
                    async with connect(url) as broker:

                        async def beats() -> bool:
                            return [s["kind"] for s in await registry.running(broker)] == ["gateway"]

                        await eventually(beats)
    except BaseException:
        first.__exit__(None, None, None)
        raise


async def test_a_redis_that_hangs_is_503_within_seconds(tmp_path: Path) -> None:
    with (
        embedded_redis(tmp_path / "redis") as url,
        gateway(tmp_path / "gateway", REDIS_URL=url, RINGOVER_WEBHOOK_SECRET=KEY) as running,
    ):
        async with connect(url) as broker:
            pid = int((await broker.execute("INFO", "server"))["process_id"])
        async with httpx.AsyncClient(base_url=running.url, timeout=20) as client:
            os.kill(pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                answers = await asyncio.gather(*(post(client) for _ in range(5)))
                took = time.monotonic() - began
            finally:
                os.kill(pid, signal.SIGCONT)
            assert [answer.status_code for answer in answers] == [503] * 5
            assert took < 5

            async def taken() -> bool:
                return (await post(client)).status_code in (200, 202)

            await eventually(taken)


async def test_sigterm_finishes_the_running_request_and_takes_the_gateway_off_the_list(
    tmp_path: Path, broker: Broker, redis_url: str
) -> None:
    async def listed() -> bool:
        return [service["kind"] for service in await registry.running(broker)] == ["gateway"]

    with gateway(tmp_path, REDIS_URL=redis_url, RINGOVER_WEBHOOK_SECRET=KEY) as running:
        await eventually(listed)
        url = httpx.URL(running.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        head = f"POST {ENDPOINT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\nExpect: 100-continue\r\n"
        writer.write(f"{head}X-Ringover-Signature: {plain(BODY)['x-ringover-signature']}\r\n\r\n".encode())
        # The handler waits for the body now.
        assert await reader.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert await reader.readline() == b"\r\n"
        running.process.terminate()

        async def stopping() -> bool:
            return any(str(line["event"]).startswith("stopping") for line in running.logged())

        await eventually(stopping)
        writer.write(BODY)
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == "accepted"
        writer.close()
        await writer.wait_closed()
        assert await asyncio.to_thread(running.process.wait, 10) == 0
    assert await registry.running(broker) == []
