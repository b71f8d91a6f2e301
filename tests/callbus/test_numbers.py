"""Which live call a connection gets that names numbers only, on a real Redis."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from callbus import calls, keys, numbers, sessions
from callbus.broker import Broker
from callbus.calls import LifecycleEvent
from callbus.claims import Claims

PAIR = ("33612345678", "33184800000")
NUMBERS = {"from_number": PAIR[0], "to_number": PAIR[1]}


async def ringing(broker: Broker, *call_ids: str) -> None:
    for call_id in call_ids:
        await webhook(broker, call_id, "ringing")


async def webhook(broker: Broker, call_id: str, state: Any, *, once: dict[str, str] = NUMBERS) -> None:
    event = LifecycleEvent("call", state, call_id, time.time())
    await calls.publish_webhook(broker, event, delivery=f"{call_id}-{state}", state=state, once=once, latest={})


async def claimed(broker: Broker) -> str | None:
    return (await numbers.claim(broker, *PAIR)).call_id


async def attach(broker: Broker, call_id: str, session: str = "m1") -> sessions.Attached:
    return await sessions.attach(broker, call_id, streamer="s1", session=session, sample_rate=8000)


async def between(broker: Broker) -> list[bytes]:
    found: list[bytes] = await broker.execute("ZRANGE", keys.by_numbers(*PAIR), 0, -1)
    return found


async def test_two_calls_get_a_connection_each_the_older_first(broker: Broker) -> None:
    await ringing(broker, "a", "b")
    assert await claimed(broker) == "a"
    assert await claimed(broker) == "b"
    for call_id in ("a", "b"):
        await attach(broker, call_id)
    assert await numbers.claim(broker, *PAIR) == numbers.Match(None, taken=True)


async def test_of_many_connections_at_once_no_two_get_the_same_call(broker: Broker) -> None:
    await ringing(broker, *(f"c{n}" for n in range(5)))
    found = await asyncio.gather(*(claimed(broker) for _ in range(8)))
    assert sorted(found, key=str) == [*[None] * 3, *(f"c{n}" for n in range(5))]


async def test_a_claim_that_nobody_makes_use_of_is_given_again(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    await ringing(broker, "a")
    assert await claimed(broker) == "a"
    assert await claimed(broker) is None
    monkeypatch.setattr(numbers, "CLAIM_S", 0.0)
    assert await claimed(broker) == "a"


async def test_who_dropped_finds_the_same_call_again(broker: Broker) -> None:
    await ringing(broker, "a", "b")
    for call_id in ("a", "b"):
        assert await claimed(broker) == call_id
        await attach(broker, call_id)
    await sessions.away(broker, "b", session="m1")
    assert await claimed(broker) == "b"


async def test_a_connection_that_brings_nothing_any_more_keeps_nobody_out(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ringing(broker, "a")
    await attach(broker, "a")
    assert await claimed(broker) is None
    monkeypatch.setattr(numbers, "MEDIA_SILENT_S", 0.0)
    assert await claimed(broker) == "a"


async def test_the_list_of_calls_between_two_numbers_is_bounded_and_cleaned(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "BY_NUMBERS_MAX", 2)
    await ringing(broker, "a", "b", "c")
    assert await between(broker) == [b"b", b"c"]
    assert 0 < await broker.execute("TTL", keys.by_numbers(*PAIR)) <= keys.CALL_TTL_S
    await webhook(broker, "b", "ended")
    assert await between(broker) == [b"c"]
    # The specification's form names no numbers.
    await webhook(broker, "c", "ended", once={})
    assert await broker.execute("EXISTS", keys.by_numbers(*PAIR)) == 0
    await webhook(broker, "b", "answered")
    assert await claimed(broker) is None


async def test_a_call_that_has_expired_is_taken_off_the_list(broker: Broker) -> None:
    await ringing(broker, "a")
    await broker.execute("DEL", keys.call("a"))
    assert await claimed(broker) is None
    assert await between(broker) == []


async def test_a_call_whose_end_was_never_told_is_not_found_for_ever(broker: Broker) -> None:
    await ringing(broker, "people-who-spoke", "b")
    await calls.update(broker, "people-who-spoke", first_seen=time.time() - calls.WITHOUT_MEDIA_S - 1)
    assert await claimed(broker) == "b"
    await attach(broker, "b")
    await sessions.end(broker, "b", session="m1", reason="closed")
    assert await numbers.claim(broker, *PAIR) == numbers.Match(None)


@pytest.mark.parametrize(
    ("outcome", "found"), [("failed", "a"), ("transferred", "a"), ("bot_ended", "a"), ("caller_left", None)]
)
async def test_who_comes_back_after_the_end(broker: Broker, outcome: str, found: str | None) -> None:
    """Of a call that the caller has left, this is another one: its webhook is late."""
    await ringing(broker, "a")
    await finished(broker, "a", outcome)
    assert await claimed(broker) == found


async def test_a_hang_up_is_known_before_the_conversation_is_over_and_keeps_no_other_call_out(broker: Broker) -> None:
    await ringing(broker, "a")
    await attach(broker, "a")
    await sessions.mark_done(broker, "a", "1-1", hangs_up=True)
    assert await claimed(broker) == "a"
    await ringing(broker, "b")
    assert await claimed(broker) == "b"
    # Whose media this is can't be known: rather a greeting too many than a caller who is not heard.
    await attach(broker, "b")
    assert await claimed(broker) is None


async def test_a_hang_up_long_ago_is_forgotten(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    await ringing(broker, "a")
    await finished(broker, "a", "bot_ended")
    monkeypatch.setattr(keys, "RECONNECT_WINDOW_S", -1)  # no time at all passes between the two clocks' readings
    assert await claimed(broker) is None


async def test_what_is_told_late_names_a_call_without_media_and_claims_it_not(broker: Broker) -> None:
    await ringing(broker, "a", "b")
    await attach(broker, "a")
    assert await numbers.linked(broker, *PAIR, to="media-1") == "b"
    assert await numbers.linked(broker, *PAIR, to="a") is None
    assert await claimed(broker) == "b"


async def finished(broker: Broker, call_id: str, outcome: str) -> None:
    """The call had its conversation, and its media is gone."""
    await attach(broker, call_id)
    claims = Claims(broker, "w1")
    await claims.prepare()
    [waiting] = await claims.take_new(1, block_ms=1)
    lease = await claims.begin(waiting)
    assert lease is not None
    await sessions.end(broker, call_id, session="m1", reason="closed")
    await claims.finish(lease, outcome=outcome)
