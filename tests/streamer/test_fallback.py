"""What the streamer does for a caller whom no worker serves: a file, then a human, as often as a worker fails them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedOK

from callbus import registry, sessions
from callbus.broker import Broker
from callbus.media import Playback
from support.streamer_calls import audio, received
from support.streamer_process import Streamer, Worker, streamer

FALLBACK = {
    "FALLBACK_AFTER_S": "0.3",
    "FALLBACK_LOST_AFTER_S": "2",
    "FALLBACK_PLAY_URL": "https://test.com/wait.mp3",
    "FALLBACK_TRANSFER_NUMBER": "33184800000",
    "FALLBACK_TRANSFER_DELAY_S": "0.5",
}
PLAY = {"event": "play", "file": "https://test.com/wait.mp3"}
TRANSFER = {"event": "transfer", "data": 33184800000}


@pytest.fixture(scope="module")
def lonely(own_redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamer]:
    """A streamer with a fallback."""
    with streamer(tmp_path_factory.mktemp("lonely"), own_redis, **FALLBACK) as process:
        yield process


async def test_a_caller_whom_nobody_takes_is_transferred(lonely: Streamer) -> None:
    fallbacks = await lonely.metric("fallbacks_total")
    async with connect(lonely.url("/ws/nobody-1")) as client:
        opened = time.monotonic()
        assert await received(client) == PLAY
        played = time.monotonic()
        assert 0.25 < played - opened < 1.5
        assert await received(client) == TRANSFER
        assert 0.45 < time.monotonic() - played < 1.5
        assert await lonely.metric("fallbacks_total") == fallbacks + 1


async def test_a_worker_that_comes_late_and_speaks_calls_the_transfer_off(lonely: Streamer, bus: Broker) -> None:
    async with connect(lonely.url("/ws/late-1")) as client:
        assert await received(client) == PLAY
        worker = await Worker.claim(bus, "late-1")
        await worker.speak("s1", audio(300))
        assert await received(client) == {"event": "break"}
        assert (await received(client))["type"] == "streamAudio"
        await worker.until_told(Playback, state="finished", segment="s1")
        with pytest.raises(TimeoutError):
            await received(client, 0.7)
    await worker.finish()


async def test_a_worker_in_time_is_left_alone(lonely: Streamer, bus: Broker) -> None:
    async with connect(lonely.url("/ws/in-time-1")) as client:
        worker = await Worker.claim(bus, "in-time-1")
        with pytest.raises(TimeoutError):
            await received(client, 0.8)
    await worker.finish()


async def test_a_conversation_that_failed_falls_back(lonely: Streamer, bus: Broker) -> None:
    async with connect(lonely.url("/ws/failed-1")) as client:
        worker = await Worker.claim(bus, "failed-1")
        await worker.finish("failed")
        assert await received(client) == PLAY
        assert await received(client) == TRANSFER


async def test_a_call_whose_worker_lives_is_served_and_one_whose_worker_is_gone_is_not(
    lonely: Streamer, bus: Broker
) -> None:
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(connect(lonely.url("/ws/served-1")))
        served_worker = await Worker.claim(bus, "served-1")
        beating = asyncio.create_task(registry.keep_beating(bus, "worker", "worker-of-served-1", dict))
        left = await stack.enter_async_context(connect(lonely.url("/ws/left-1")))
        left_worker = await Worker.claim(bus, "left-1")
        try:
            claimed = time.monotonic()
            assert await received(left, 10) == PLAY
            assert 1.5 < time.monotonic() - claimed < 6
            with pytest.raises(TimeoutError):
                await received(served, 0.1)
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
            await registry.leave(bus, "worker", "worker-of-served-1")
    await served_worker.finish()
    await left_worker.finish()


async def rescued(client: ClientConnection) -> None:
    assert await received(client, 10) == PLAY
    assert await received(client) == TRANSFER


async def spoken_to(client: ClientConnection, bus: Broker, call_id: str) -> Worker:
    """A worker comes when the fallback has begun, and is heard."""
    assert await received(client) == PLAY
    worker = await Worker.claim(bus, call_id)
    await worker.speak("s1", audio(300))
    assert await received(client) == {"event": "break"}
    assert (await received(client))["type"] == "streamAudio"
    return worker


async def test_a_worker_that_called_it_off_and_is_gone_then_has_it_begin_anew(lonely: Streamer, bus: Broker) -> None:
    async with connect(lonely.url("/ws/gone-1")) as client:
        worker = await spoken_to(client, bus, "gone-1")
        await rescued(client)
    await worker.finish()


async def test_a_worker_that_called_it_off_and_fails_then_has_it_begin_anew(lonely: Streamer, bus: Broker) -> None:
    async with connect(lonely.url("/ws/gone-2")) as client:
        worker = await spoken_to(client, bus, "gone-2")
        await worker.finish("failed")
        await rescued(client)


@pytest.mark.parametrize("failed", [False, True])
async def test_a_caller_who_drops_out_of_it_and_comes_back_is_transferred_once(
    lonely: Streamer, bus: Broker, failed: bool
) -> None:
    call_id = f"back-{failed}"
    fallbacks = await lonely.metric("fallbacks_total")
    async with connect(lonely.url(f"/ws/{call_id}")) as client:
        if failed:
            await (await Worker.claim(bus, call_id)).finish("failed")
        assert await received(client, 10) == PLAY
        client.transport.abort()
    async with connect(lonely.url(f"/ws/{call_id}")) as client:
        await rescued(client)
        assert await lonely.metric("fallbacks_total") == fallbacks + 1
        client.transport.abort()
    async with connect(lonely.url(f"/ws/{call_id}")) as client:
        with pytest.raises((TimeoutError, ConnectionClosedOK)):
            await received(client, 0.8)


async def test_who_comes_back_to_another_streamer_from_a_conversation_that_failed_is_transferred(
    lonely: Streamer, bus: Broker
) -> None:
    await sessions.attach(bus, "moved-1", streamer="elsewhere", session="s-1", sample_rate=8000)
    await (await Worker.claim(bus, "moved-1")).finish("failed")
    async with connect(lonely.url("/ws/moved-1")) as client:
        await rescued(client)
