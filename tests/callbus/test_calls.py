"""Publishing webhooks into a call's hash and onto `calls:events`, on a real Redis: once, in one step, in any order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, Literal

import pytest

from callbus import calls, keys, numbers
from callbus.broker import Broker
from callbus.calls import LifecycleEvent

State = Literal["ringing", "answered", "ended"]
NUMBERS = {"from_number": "33612345678", "to_number": "33184800000"}


async def publish(
    broker: Broker,
    event: str,
    state: State | None,
    *,
    call_id: str = "c1",
    delivery: str | None = None,
    once: Mapping[str, str] = NUMBERS,
    latest: Mapping[str, str] | None = None,
    data: Mapping[str, Any] | None = None,
) -> bool:
    return await calls.publish_webhook(
        broker,
        LifecycleEvent("call", event, call_id, 1732266000.125, channel_id="7", data=data or {}),
        delivery=delivery or f"{call_id}-{event}",
        state=state,
        once=once,
        latest=latest or {},
    )


async def published(broker: Broker) -> list[LifecycleEvent]:
    return [LifecycleEvent.from_fields(fields) for _, fields in await broker.range(keys.EVENTS)]


async def find(broker: Broker) -> str | None:
    return (await numbers.claim(broker, NUMBERS["from_number"], NUMBERS["to_number"])).call_id


async def test_an_event_is_on_the_stream_and_in_the_hash(broker: Broker) -> None:
    data = {"name": "Zoé", "tags": ["a", None], "n": 1.5}
    assert await publish(broker, "ringing", "ringing", latest={"user": "{}"}, data=data)
    assert await published(broker) == [
        LifecycleEvent("call", "ringing", "c1", 1732266000.125, channel_id="7", source="gateway", data=data)
    ]
    call = await calls.get(broker, "c1")
    assert float(call.pop("first_seen")) > 1.7e9
    assert call == {"state": "ringing", "user": "{}", **NUMBERS}
    assert await calls.recent(broker) == ["c1"]


async def test_a_delivery_is_published_once(broker: Broker) -> None:
    assert await publish(broker, "ringing", "ringing")
    assert not await publish(broker, "ringing", "answered", latest={"user": "changed"})
    assert len(await published(broker)) == 1
    assert "user" not in await calls.get(broker, "c1")
    assert (await calls.get(broker, "c1"))["state"] == "ringing"


async def test_of_many_at_once_one_is_published(broker: Broker) -> None:
    outcomes = await asyncio.gather(*(publish(broker, "ringing", "ringing") for _ in range(50)))
    assert sum(outcomes) == 1
    assert len(await published(broker)) == 1


@pytest.mark.parametrize(
    ("order", "state"),
    [
        (("ringing", "answered", "ended"), "ended"),
        (("ended", "answered", "ringing"), "ended"),
        (("answered", "ringing"), "answered"),
        (("ringing", "ended", "answered"), "ended"),
    ],
)
async def test_a_state_never_goes_back(broker: Broker, order: tuple[State, ...], state: str) -> None:
    for event in order:
        assert await publish(broker, event, event)
    assert (await calls.get(broker, "c1"))["state"] == state
    assert len(await published(broker)) == len(order)


async def test_the_first_keeps_and_the_last_overwrites(broker: Broker) -> None:
    await publish(broker, "ringing", "ringing", once={"ringing_at": "1.000"}, latest={"amd": "NOTSURE"})
    await publish(broker, "answered", "answered", once={"ringing_at": "2.000"}, latest={"amd": "HUMAN"})
    call = await calls.get(broker, "c1")
    assert (call["ringing_at"], call["amd"]) == ("1.000", "HUMAN")


async def test_an_event_that_says_nothing_of_the_state_leaves_it_alone(broker: Broker) -> None:
    await publish(broker, "tags_updated", None)
    assert "state" not in await calls.get(broker, "c1")
    assert await find(broker) is None


async def test_the_end_of_a_call_without_numbers_is_published(broker: Broker) -> None:
    assert await publish(broker, "ringing", "ringing")
    assert await publish(broker, "hangup", "ended", once={})
    assert (await calls.get(broker, "c1"))["state"] == "ended"
    assert [event.event for event in await published(broker)] == ["ringing", "hangup"]
    assert await find(broker) is None


async def test_a_live_call_is_found_by_its_numbers(broker: Broker) -> None:
    await publish(broker, "ringing", "ringing")
    await publish(broker, "ringing", "ringing", call_id="c2")
    await publish(broker, "hangup", "ended", call_id="c1")
    assert await find(broker) == "c2"
    await publish(broker, "hangup", "ended", call_id="c2")
    assert await find(broker) is None


async def test_a_late_ringing_does_not_make_an_ended_call_live(broker: Broker) -> None:
    await publish(broker, "hangup", "ended")
    await publish(broker, "ringing", "ringing")
    assert await find(broker) is None


@pytest.mark.parametrize("call_id", ["", "c1"])
async def test_values_that_look_like_the_separator_are_values(broker: Broker, call_id: str) -> None:
    once, latest = {"a": "--", "b": "x"}, {"c": "--", "d": "y"}
    assert await publish(broker, "received", None, call_id=call_id, once=once, latest=latest)
    assert [event.event for event in await published(broker)] == ["received"]
    call = await calls.get(broker, "c1")
    assert {name: call[name] for name in call if name != "first_seen"} == ({**once, **latest} if call_id else {})


async def test_an_event_without_a_call_makes_no_call(broker: Broker) -> None:
    assert await publish(broker, "received", None, call_id="", delivery="m1")
    assert not await publish(broker, "received", None, call_id="", delivery="m1")
    assert await calls.recent(broker) == []
    assert [event.call_id for event in await published(broker)] == [""]


async def test_the_list_of_calls_is_bounded_and_the_newest_come_first(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "RECENT_MAX", 3)
    now = iter(range(1000, 2000))
    monkeypatch.setattr("callbus.calls.time", SimpleNamespace(time=lambda: float(next(now))))
    for n in range(5):
        await publish(broker, "ringing", "ringing", call_id=f"c{n}")
    assert await calls.recent(broker) == ["c4", "c3", "c2"]
    assert await calls.recent(broker, limit=1) == ["c4"]


async def test_fields_are_updated_and_deleted(broker: Broker) -> None:
    await calls.update(broker, "c1", agent="demo", on=True, at=1.5, epoch=2, tools=["a"])
    await calls.update(broker, "c1", agent=None)
    assert await calls.get(broker, "c1") == {"on": "1", "at": "1.500", "epoch": "2", "tools": '["a"]'}


NOW = 1_732_266_000.0


@pytest.mark.parametrize(
    ("call", "active"),
    [
        ({"state": "ringing", "first_seen": NOW - 10}, True),
        ({"state": "answered", "first_seen": NOW - 400, "answered_at": NOW - 200}, True),
        # Its media never came: people who speak to each other, or an end that was lost on the way.
        ({"state": "answered", "first_seen": NOW - 400, "answered_at": NOW - 301}, False),
        ({"state": "ringing", "first_seen": NOW - 301, "ringing_at": NOW - 400}, False),
        ({"state": "answered", "first_seen": NOW - 7200, "media_at": NOW - 7000, "media": "connected"}, True),
        ({"state": "answered", "first_seen": NOW - 7200, "media": "away"}, True),
        ({"media": "connected", "first_seen": NOW - 7200}, True),
        ({"media": "away"}, False),
        ({"state": "answered"}, True),
        ({"state": "ended", "media": "connected"}, False),
        ({"state": "answered", "media": "ended"}, False),
        ({"state": "answered", "media": "connected", "conversation": "finished"}, False),
        ({}, False),
    ],
)
def test_who_is_on_the_line(call: dict[str, Any], active: bool) -> None:
    assert calls.is_active(call, now=NOW) is active
    # As Redis has it.
    assert calls.is_active({name: str(value) for name, value in call.items()}, now=NOW) is active


def test_who_is_on_the_line_just_now() -> None:
    assert calls.is_active({"state": "ringing", "first_seen": time.time()})
    assert not calls.is_active({"state": "ringing", "first_seen": time.time() - calls.WITHOUT_MEDIA_S - 1})
