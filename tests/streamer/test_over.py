"""A media server that comes back at once to a call that is over; two callers between the same two numbers."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
import structlog
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from callbus import commands, keys
from callbus.broker import Broker
from callbus.media import MediaEnded, MediaStarted
from streamer import over
from streamer.metrics import Counters
from streamer.over import Over
from streamer.refusals import Refusals
from support.streamer_calls import ringing, state_with
from support.streamer_process import FRAME, Streamer, Worker
from support.waiting import until

WINDOW_S = keys.RECONNECT_WINDOW_S


def test_a_call_is_over_while_it_is_knocked_at() -> None:
    calls = Over()
    assert not calls.knock("c1", 0.0)
    calls.add("c1", 0.0)
    for n in range(1, 5):
        assert calls.knock("c1", n * (WINDOW_S - 1.0))
    assert calls.untold() == ["c1"]
    assert calls.untold() == []
    last = 4 * (WINDOW_S - 1.0)
    assert not calls.knock("c1", last + WINDOW_S)
    assert not calls.knock("c1", last + WINDOW_S)


def test_a_call_that_goes_on_is_not_over() -> None:
    calls = Over()
    calls.add("c1", 0.0)
    assert calls.knock("c1", 1.0)
    calls.discard("c1")
    assert not calls.knock("c1", 1.0)
    assert calls.untold() == []


def test_of_many_calls_the_one_that_was_knocked_at_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(over, "MOST_CALLS", 2)
    calls = Over()
    for call_id in ("c1", "c2"):
        calls.add(call_id, 0.0)
    calls.knock("c1", 1.0)
    calls.add("c3", 1.0)
    assert [calls.knock(call_id, 2.0) for call_id in ("c1", "c2", "c3")] == [True, False, True]


async def test_refusals_are_counted_each_and_told_together() -> None:
    counters = Counters()
    refusals = Refusals(counters)
    with structlog.testing.capture_logs() as lines:
        for _ in range(1000):
            refusals.note(403, "why")
    assert counters.connections_refused == 1000
    assert [(line["status"], line["reason"], line["refused_since"]) for line in lines] == [(403, "why", 1)]


async def test_after_a_hang_up_who_comes_back_at_once_is_refused_for_good(
    running: Streamer, dial: Any, bus: Broker, call_id: str
) -> None:
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        await worker.send(commands.Hangup(call_id, worker.epoch, "a1"))
        await until(lambda: client.close_code)
    # The conversation is not over yet: what ends it is told by the first session, and nothing resumes it.
    async with dial(call_id) as client:
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == 1000
    assert (await worker.until_told(MediaEnded)).reason == "hangup"
    assert not [event for event in await worker.told() if isinstance(event, MediaStarted) and event.resumed]
    await worker.finish("bot_ended")
    knocked = await knock(dial, call_id, for_s=1.5)
    assert 403 in knocked
    assert knocked.count(1000) <= 2
    told = len([line for line in running.logged() if "refused" in line["event"] or "moments ago" in line["event"]])
    more = await knock(dial, call_id, for_s=1.0)
    assert set(more) == {403}
    assert len(more) > 20
    told = len([line for line in running.logged() if "refused" in line["event"]]) - told
    assert told <= 3
    # Redis hears of it, so that no other streamer opens the call meanwhile.
    finished = float((await worker.state())["finished_at"])
    await until(lambda: knocked_after(worker, finished + 1.0))
    assert (await worker.state())["conversation"] == "finished"


async def test_who_names_an_ended_call_after_the_handshake_only_is_kept_waiting(
    dial: Any, bus: Broker, call_id: str
) -> None:
    async with dial(call_id):
        worker = await Worker.claim(bus, call_id)
    await worker.until_told(MediaEnded)
    await worker.finish("caller_left")
    codes, began = [], time.monotonic()
    for _ in range(2):
        async with dial() as client:
            await client.send(json.dumps({"callId": call_id}))
            await asyncio.wait_for(client.wait_closed(), 5)
            codes.append(client.close_code)
    assert codes == [1000, 1000]
    assert time.monotonic() - began >= 1.9
    assert (await worker.state())["conversation"] == "finished"


async def test_who_comes_back_while_the_bot_hangs_up_leaves_the_end_to_be_told(
    dial: Any, bus: Broker, call_id: str
) -> None:
    """The new connection has taken the session's place in the streamer, and not yet in Redis."""
    async with dial(call_id):
        worker = await Worker.claim(bus, call_id)
        await bus.execute("HSET", keys.call(call_id), "hung_up_at", f"{time.time():.3f}")
        async with dial(call_id) as back:
            await asyncio.wait_for(back.wait_closed(), 5)
    assert (await worker.until_told(MediaEnded)).reason == "over"
    assert await state_with(worker, media="ended")
    await worker.finish("bot_ended")


async def test_two_callers_between_the_same_numbers_have_a_call_each(
    running: Streamer, dial: Any, bus: Broker, call_id: str
) -> None:
    numbers = str(time.time_ns())[-11:], "33187654321"
    for name in ("a", "b"):
        await ringing(bus, f"{call_id}-{name}", *numbers)
    before = await running.metric("sessions")
    async with dial() as first, dial() as second:
        for client in (first, second):
            await introduce(client, *numbers)
        workers = [await Worker.claim(bus, f"{call_id}-{name}") for name in ("a", "b")]
        assert await running.metric("sessions") == before + 2
        # A third, whose webhook is late, is no excuse to send one of them away.
        async with dial() as third:
            await introduce(third, *numbers)
            own = await until(lambda: own_call(bus, numbers[0]))
            assert await running.metric("sessions") == before + 3
            assert (first.close_code, second.close_code) == (None, None)
        workers.append(await Worker.claim(bus, own))
    for worker in workers:
        await worker.until_told(MediaEnded)
        assert [event.resumed for event in await worker.told() if isinstance(event, MediaStarted)] == [False]
        await worker.finish()


async def test_a_caller_who_dropped_is_found_again_by_the_numbers(dial: Any, bus: Broker, call_id: str) -> None:
    numbers = str(time.time_ns())[-11:], "33187654321"
    await ringing(bus, call_id, *numbers)
    async with dial() as client:
        await introduce(client, *numbers)
        worker = await Worker.claim(bus, call_id)
        client.transport.abort()
    async with dial() as client:
        await introduce(client, *numbers)
        await worker.until_told(MediaStarted, resumed=True)
    await worker.until_told(MediaEnded)
    await worker.finish()


async def introduce(client: ClientConnection, from_number: str, to_number: str) -> None:
    await client.send(json.dumps({"from": from_number, "to": to_number}))
    await client.send(FRAME)


async def own_call(bus: Broker, from_number: str) -> str | None:
    """The call with an id of its own that has this number."""
    for _, fields in await bus.range(keys.WAITING):
        name = fields[b"call_id"].decode()
        if (
            name.startswith("media-")
            and await bus.execute("HGET", keys.call(name), "from_number") == from_number.encode()
        ):
            return name
    return None


async def knock(dial: Any, call_id: str, *, for_s: float) -> list[int]:
    """How each try to come back ended: an HTTP status, or a close code."""
    ended: list[int] = []
    until_ = time.monotonic() + for_s
    while time.monotonic() < until_:
        try:
            async with dial(call_id) as client:
                await asyncio.wait_for(client.wait_closed(), 5)
                ended.append(client.close_code)
        except InvalidStatus as refused:
            ended.append(refused.response.status_code)
    return ended


async def knocked_after(worker: Worker, at: float) -> bool:
    return float((await worker.state()).get("knocked_at", 0.0)) > at
