"""Which call a session is, by what the media server says of it, and what is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from callbus import calls, keys
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from streamer import signalling
from streamer.inbound import CallEnd, CallStart, Metadata, UnknownText, Unreadable
from streamer.signalling import METADATA_MAX_BYTES, Signalling
from support.waiting import until

NUMBERS = ("33612345678", "33187654321")


class Line(Signalling):
    """One session's signalling, what it answered, and the work that it began."""

    def __init__(self, broker: Broker, call_id: str | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.begun: list[asyncio.Task[None]] = []
        self.over = False
        super().__init__(
            broker,
            call_id=call_id,
            send_text=lambda text: self.sent.append(json.loads(text)),
            spawn=self.begin,
            wanted=lambda: not self.over,
        )

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        self.begun.append(asyncio.create_task(work))


def metadata(call_id: str | None = None, numbers: tuple[str | None, str | None] = NUMBERS, **raw: Any) -> Metadata:
    return Metadata(call_id, *numbers, raw)


@pytest.fixture
async def nowhere() -> AsyncIterator[Broker]:
    """Of a Redis that is away."""
    broker = Broker("redis://127.0.0.1:1/0")
    yield broker
    await broker.aclose()


async def test_the_handshakes_id_is_taken_at_once(nowhere: Broker) -> None:
    line = Line(nowhere, "c1")
    line.receive(metadata("another"))
    assert await line.identify() == "c1"
    assert line.sent == []


async def test_the_first_that_names_the_call_is_believed_and_waited_for(nowhere: Broker) -> None:
    line = Line(nowhere)
    found = asyncio.create_task(line.identify())
    await asyncio.sleep(0)
    line.receive(UnknownText("hello"))
    line.receive(metadata(numbers=(NUMBERS[0], None)))
    line.receive(CallStart(None, {}))
    line.receive(CallStart("c1", {}))
    line.receive(metadata("c2"))
    line.receive(CallStart("c4", {}))
    assert await found == line.call_id == "c1"
    assert line.sent == [{"event": "call_started", "call_id": "c1"}]
    line.receive(CallStart("c3", {}))
    line.receive(CallStart(None, {}))
    assert [answer["call_id"] for answer in line.sent[1:]] == ["c3", "c1"]


async def test_a_call_is_found_by_its_numbers_while_it_is_live(broker: Broker) -> None:
    await broker.execute("ZADD", keys.by_numbers(*NUMBERS), 1, "c1")
    await calls.update(broker, "c1", state="ringing")
    line = Line(broker)
    line.receive(metadata())
    assert await line.identify() == "c1"
    await calls.update(broker, "c1", state="ended")
    late = Line(broker)
    late.receive(metadata())
    assert (await late.identify()).startswith("media-")


async def test_a_call_that_nothing_names_or_can_be_looked_up_has_an_id_of_its_own(
    nowhere: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signalling, "METADATA_WAIT_S", 0.02)
    silent, away = Line(nowhere), Line(nowhere)
    silent.receive(CallStart(None, {}))
    away.receive(metadata())
    ids = await asyncio.gather(silent.identify(), away.identify())
    assert all(call_id.startswith("media-") for call_id in ids)
    assert ids[0] != ids[1]
    assert silent.sent == [{"event": "call_started", "call_id": ids[0]}]
    # It keeps that id, whatever is told later.
    silent.receive(CallStart("c1", {}))
    assert silent.call_id == ids[0]


async def test_only_who_began_with_call_start_is_answered(nowhere: Broker) -> None:
    line = Line(nowhere, "c1")
    said = (Unreadable("no JSON"), CallEnd(None), CallEnd("c2"))
    for event in said:
        line.receive(event)
    assert line.sent == []
    line.receive(CallStart(None, {}))
    for event in said:
        line.receive(event)
    assert line.sent == [
        {"event": "call_started", "call_id": "c1"},
        {"event": "error", "message": "no JSON"},
        {"event": "call_ended", "call_id": "c1"},
        {"event": "call_ended", "call_id": "c2"},
    ]


async def test_what_is_told_of_the_call_is_kept_early_or_late(broker: Broker) -> None:
    line = Line(broker, "c1")
    await line.identify()
    await line.note("c1")
    assert await broker.hash(keys.call("c1")) == {}
    line = Line(broker, "c1")
    line.receive(metadata(numbers=(NUMBERS[0], None), callId="c1"))
    await line.identify()
    assert line.begun == []
    await line.note("c1")
    state = await broker.hash(keys.call("c1"))
    assert state == {"from_number": NUMBERS[0], "metadata": '{"callId": "c1"}'}
    line.receive(metadata("c9", numbers=("1", "2"), name="half an emoji: \ud83d"))
    await asyncio.gather(*line.begun)
    state = await broker.hash(keys.call("c1"))
    assert state["from_number"] == NUMBERS[0]
    assert state["to_number"] == "2"
    assert state["linked_call_id"] == "c9"
    assert json.loads(state["metadata"]) == {"name": "half an emoji: \ufffd"}


async def test_metadata_that_is_too_large_is_not_kept_its_numbers_are(broker: Broker) -> None:
    line = Line(broker, "c1")
    line.receive(metadata(numbers=NUMBERS, text="é" * (METADATA_MAX_BYTES // 2)))
    await line.note("c1")
    state = await broker.hash(keys.call("c1"))
    assert state == {"from_number": NUMBERS[0], "to_number": NUMBERS[1]}


class Flaky(Broker):
    """A Redis that is away until it is said to be `there`, and how often it was written to."""

    there = False
    asked = 0

    async def pipeline(self, commands: Any) -> list[Any]:
        self.asked += 1
        if not self.there:
            raise BusUnavailable("away")
        return await super().pipeline(commands)


@pytest.fixture
async def flaky(broker: Broker, redis_url: str) -> AsyncIterator[Flaky]:
    flaky = Flaky(redis_url)
    yield flaky
    await flaky.aclose()


async def test_of_what_is_told_again_and_again_the_newest_is_kept_by_one_at_a_time(
    flaky: Flaky, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signalling, "RETRY_S", 0.01)
    line = Line(flaky, "c1")
    await line.identify()
    line.receive(metadata(number=0))
    for number in range(1, 500):
        line.receive(metadata(numbers=(None, None), number=number))
        if number % 100 == 0:
            await asyncio.sleep(0.01)
    assert len(line.begun) == 1
    flaky.there = True
    await asyncio.gather(*line.begun)
    state = await flaky.hash(keys.call("c1"))
    assert (state["from_number"], state["to_number"]) == NUMBERS
    assert json.loads(state["metadata"]) == {"number": 499}
    # As often as it is told, it is not written more often than so many times a second.
    line.receive(metadata(number=500))
    await until(lambda: flaky.hash(keys.call("c1")))
    flaky.asked = 0
    for number in range(501, 520):
        line.receive(metadata(number=number))
        await asyncio.sleep(0.005)
    await asyncio.gather(*line.begun)
    assert flaky.asked <= 3
    assert json.loads((await flaky.hash(keys.call("c1")))["metadata"]) == {"number": 519}


async def test_of_a_session_that_is_over_nothing_is_kept_waiting(flaky: Flaky, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signalling, "RETRY_S", 0.01)
    early, late = Line(flaky, "c1"), Line(flaky, "c1")
    early.receive(metadata())
    noted = asyncio.create_task(early.note("c1"))
    await late.identify()
    late.receive(metadata())
    await until(lambda: flaky.asked > 2)
    early.over = late.over = True
    await asyncio.wait_for(asyncio.gather(noted, *late.begun), 2)
    flaky.there = True
    assert await flaky.hash(keys.call("c1")) == {}
    # While Redis is there, the last that was told before the end is kept.
    early.receive(metadata())
    await asyncio.gather(*early.begun)
    assert (await flaky.hash(keys.call("c1")))["from_number"] == NUMBERS[0]
    await asyncio.gather(*early.begun)
