"""`replay` as a process: it places a call only when it will be able to read how the bot answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from callbus import keys
from callbus.broker import Broker
from devstack.embedded_redis import embedded_redis
from support.cli_process import run
from support.cli_recorded import RECORD, recorded_call, write
from support.gateway_process import Gateway, gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN
from support.sim_bot import Bot, running

pytestmark = [pytest.mark.long, pytest.mark.timeout(90)]

SECRETS = {"RINGOVER_WEBHOOK_SECRET": KEY, "ADMIN_TOKEN": ADMIN}


@pytest.fixture(scope="module")
def gateway_here(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("gateway"), REDIS_URL=redis_server, **SECRETS) as process:
        yield process


@asynccontextmanager
async def untouched() -> AsyncIterator[str]:
    """The address of a streamer that nobody may connect to."""
    connected: list[str] = []

    def refuse(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.append("somebody")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
    assert connected == [], "a call was placed"


def where(at: Gateway, streamer: str) -> tuple[str, ...]:
    return ("--gateway", at.url, "--streamer", streamer)


@pytest.mark.parametrize(("token", "words"), [("", "ADMIN_TOKEN, and none is set"), ("another", "HTTP 401")])
async def test_without_the_right_token_no_call_is_placed(
    gateway_here: Gateway, broker: Broker, tmp_path: Path, token: str, words: str
) -> None:
    recorded_call(tmp_path)
    async with untouched() as streamer:
        settings = {**SECRETS, "ADMIN_TOKEN": token}
        ran = await run(tmp_path, "replay", "c1", "--calls-dir", ".", *where(gateway_here, streamer), **settings)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err
    assert ran.err.count("\n") == 1
    assert await broker.last_id(keys.EVENTS) == b"0-0"


async def test_without_redis_behind_the_gateway_no_call_is_placed(tmp_path: Path) -> None:
    recorded_call(tmp_path)
    redis = embedded_redis(tmp_path / "redis")
    with gateway(tmp_path / "gateway", REDIS_URL=redis.__enter__(), **SECRETS) as alone:
        redis.__exit__(None, None, None)
        async with untouched() as streamer:
            again = ("replay", "c1", "--calls-dir", ".", *where(alone, streamer))
            for command in (again, ("calls", "--gateway", alone.url)):
                ran = await run(tmp_path, *command, **SECRETS)
                assert (ran.code, ran.out) == (2, "")
                assert "HTTP 503: Redis is away" in ran.err
                assert ran.err.count("\n") == 1


async def test_a_call_that_no_worker_took_is_not_compared(
    gateway_here: Gateway, broker: Broker, tmp_path: Path
) -> None:
    write_one_turn(tmp_path)
    async with running(Bot(greeting=0.3, answer=0.3)) as streamer:
        ran = await run(tmp_path, "replay", "c1", "--calls-dir", ".", *where(gateway_here, streamer), **SECRETS)
    assert ran.code == 2, ran.out
    assert "has no transcript: no worker took it" in ran.err
    assert "differ" not in ran.out


def write_one_turn(folder: Path) -> None:
    """The recorded call as if it had ended with the caller's first question, unanswered."""
    recorded_call(folder)
    greeting, question, _ = RECORD["turns"]
    write(folder, RECORD | {"ended_by": "caller", "turns": [greeting, question | {"bot": []}]})
