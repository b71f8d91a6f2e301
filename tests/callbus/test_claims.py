"""Claiming against a real Redis: leases, take-over, fencing."""

from __future__ import annotations

import asyncio

import pytest

from callbus import calls, keys, media, sessions
from callbus.broker import Broker
from callbus.claims import Claims, Lease
from callbus.errors import LeaseLost


async def waiting_call(broker: Broker, call_id: str = "c1") -> None:
    attached = await sessions.attach(broker, call_id, streamer="s1", session="m1", sample_rate=8000)
    assert attached.outcome == "new"


async def claim(claims: Claims) -> Lease:
    [waiting] = await claims.take_new(1, block_ms=100)
    lease = await claims.begin(waiting)
    assert lease is not None
    return lease


async def abandon(lease: Lease, worker: str, broker: Broker) -> None:
    """Make a lease look as if its worker had been silent for longer than the lease's length."""
    await Claims(broker, worker).release(lease)


@pytest.fixture
async def first(broker: Broker) -> Claims:
    claims = Claims(broker, "w1")
    await claims.prepare()
    return claims


async def test_a_call_goes_to_one_worker(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    lease = await claim(first)
    assert (lease.call_id, lease.attempt, lease.takeover) == ("c1", 1, False)
    assert await Claims(broker, "w2").take_new(5, block_ms=1) == []
    assert (await calls.get(broker, "c1"))["worker"] == "w1"


async def test_a_call_that_waited_before_the_group_existed_is_handed_out(broker: Broker) -> None:
    await waiting_call(broker)
    claims = Claims(broker, "w1")
    assert (await claims.take_new(5, block_ms=1))[0].call_id == "c1"


async def test_a_live_lease_is_not_taken(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    lease = await claim(first)
    assert await first.renew([lease]) == []
    assert await Claims(broker, "w2").take_abandoned(5) == []


async def test_an_abandoned_call_is_taken_over_with_a_new_epoch(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    old = await claim(first)
    await abandon(old, "w1", broker)
    second = Claims(broker, "w2")
    [waiting] = await second.take_abandoned(5)
    new = await second.begin(waiting)
    assert new is not None
    assert new.epoch == old.epoch + 1
    assert (new.attempt, new.takeover) == (2, True)


async def test_a_frozen_worker_cannot_steal_its_call_back(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    old = await claim(first)
    await abandon(old, "w1", broker)
    second = Claims(broker, "w2")
    [waiting] = await second.take_abandoned(5)
    new = await second.begin(waiting)
    assert new is not None
    assert await first.renew([old]) == [old]
    with pytest.raises(LeaseLost):
        await first.finish(old, outcome="completed")
    await first.release(old)
    assert await second.renew([new]) == []
    assert await Claims(broker, "w3").take_abandoned(5) == []


async def test_a_released_call_is_taken_at_once(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    lease = await claim(first)
    await first.release(lease)
    assert [w.call_id for w in await Claims(broker, "w2").take_abandoned(5)] == ["c1"]


async def test_the_scan_for_abandoned_calls_goes_on_where_it_stopped(broker: Broker, first: Claims) -> None:
    for n in range(30):
        await waiting_call(broker, f"c{n}")
    leases = [await first.begin(w) for w in await first.take_new(30, block_ms=1)]
    last = leases[-1]
    assert last is not None
    await abandon(last, "w1", broker)
    second = Claims(broker, "w2")
    found = [waiting for _ in range(40) for waiting in await second.take_abandoned(1)]
    assert [waiting.call_id for waiting in found] == ["c29"]


async def test_everybody_sees_who_holds_how_many(broker: Broker, first: Claims) -> None:
    assert await first.held() == {}
    for n in range(3):
        await waiting_call(broker, f"c{n}")
    await first.take_new(2, block_ms=1)
    await Claims(broker, "w2").take_new(5, block_ms=1)
    held = await first.held()
    assert {worker: calls for worker, (calls, _) in held.items()} == {"w1": 2, "w2": 1}
    assert all(asked_ago_s < 5 for _, asked_ago_s in held.values())


async def test_finishing_ends_the_hand_out_and_removes_the_audio(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    lease = await claim(first)
    await first.finish(lease, outcome="completed")
    state = await calls.get(broker, "c1")
    assert (state["conversation"], state["outcome"]) == ("finished", "completed")
    assert await broker.execute("XLEN", keys.WAITING) == 0
    assert await broker.execute("EXISTS", keys.media_in("c1")) == 0
    await first.leave()
    [group] = await broker.execute("XINFO", "GROUPS", keys.WAITING)
    assert group[group.index(b"consumers") + 1] == 0


async def test_an_entry_of_a_call_that_was_handed_out_anew_is_dropped(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    [stale] = await first.take_new(1, block_ms=1)
    await broker.execute("HSET", keys.call("c1"), "waiting_entry", "9999-0")
    assert await first.begin(stale) is None
    assert await broker.execute("XLEN", keys.WAITING) == 0


async def test_a_media_session_that_comes_back_is_the_same_conversation(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    await claim(first)
    again = await sessions.attach(broker, "c1", streamer="s2", session="m2", sample_rate=8000)
    assert (again.outcome, again.old_streamer, again.old_session) == ("resumed", "s1", "m1")
    assert await broker.execute("XLEN", keys.WAITING) == 1
    events = [media.decode(fields) for _, fields in await broker.range(keys.media_in("c1"))]
    assert [e.resumed for e in events if isinstance(e, media.MediaStarted)] == [False, True]
    # The old session's end is no longer the call's end.
    assert not await sessions.end(broker, "c1", session="m1", reason="gone")
    assert await sessions.end(broker, "c1", session="m2", reason="gone")


async def test_a_call_that_just_ended_is_not_opened_again(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    before = await claim(first)
    await first.finish(before, outcome="transferred")
    again = await sessions.attach(broker, "c1", streamer="s1", session="m2", sample_rate=8000)
    assert again.outcome == "over"
    # Much later the same call may come back to the bot: after a transfer back, say.
    await broker.execute("HSET", keys.call("c1"), "finished_at", "1000.0")
    later = await sessions.attach(broker, "c1", streamer="s1", session="m3", sample_rate=8000)
    assert later.outcome == "new"
    lease = await claim(first)
    assert (lease.epoch, lease.attempt) == (before.epoch + 1, 1)


async def test_what_begins_anew_after_a_loss_comes_after_all_that_was(broker: Broker, first: Claims) -> None:
    """Else the old conversation's segments, actions and late commands would be taken for the new one's."""
    await waiting_call(broker)
    [waiting] = await first.take_new(1, block_ms=1)
    leases = [await first.begin(waiting) for _ in range(3)]
    await broker.execute("FLUSHALL")
    await waiting_call(broker)
    [waiting] = await first.take_new(1, block_ms=1)
    leases += [await first.begin(waiting) for _ in range(2)]
    epochs = [lease.epoch for lease in leases if lease]
    assert epochs == sorted(set(epochs))
    assert [lease.attempt for lease in leases if lease] == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("still_waits", [False, True], ids=["nothing", "the call, entered anew"])
async def test_what_redis_has_lost_is_held_by_nobody(broker: Broker, first: Claims, still_waits: bool) -> None:
    """A worker that is full or leaving asks for no call: whatever it asks for finds no group."""
    await waiting_call(broker)
    await waiting_call(broker, "c2")
    lease = await claim(first)
    [taken] = await first.take_new(1, block_ms=1)

    async def lost() -> None:
        await broker.execute("FLUSHALL")
        if still_waits:
            await waiting_call(broker)

    await lost()
    assert await first.renew([lease]) == [lease]
    await lost()
    with pytest.raises(LeaseLost, match="Redis has lost it"):
        await first.finish(lease, outcome="completed")
    await lost()
    with pytest.raises(LeaseLost, match="Redis has lost it"):
        await first.begin(taken)
    await lost()
    await first.release(lease)
    await lost()
    await first.leave()
    await lost()
    assert await first.held() == {}
    # The group is there again, and hands out what waits.
    assert [waiting.call_id for waiting in await first.take_new(5, block_ms=1)] == ["c1"] * still_waits


async def test_a_worker_that_is_long_dead_is_forgotten_unless_it_holds_calls(broker: Broker, first: Claims) -> None:
    await waiting_call(broker)
    await Claims(broker, "dead, with a call").take_new(1, block_ms=1)
    for n in range(3):
        await Claims(broker, f"dead {n}").take_new(1, block_ms=1)
    await first.take_new(1, block_ms=1)
    await first.remove_gone(idle_s=60)
    assert len(await first.held()) == 5
    await first.remove_gone(idle_s=-1)
    assert {worker: calls for worker, (calls, _) in (await first.held()).items()} == {"w1": 0, "dead, with a call": 1}


async def test_two_workers_share_the_calls_without_doubles(broker: Broker, first: Claims) -> None:
    for n in range(50):
        await waiting_call(broker, f"c{n}")
    others = [first, Claims(broker, "w2"), Claims(broker, "w3")]
    taken = await asyncio.gather(*(claims.take_new(20, block_ms=1) for claims in others))
    ids = [waiting.call_id for share in taken for waiting in share]
    assert sorted(ids) == sorted(f"c{n}" for n in range(50))


async def test_an_action_is_done_once(broker: Broker) -> None:
    assert await sessions.mark_done(broker, "c1", "a1")
    assert not await sessions.mark_done(broker, "c1", "a1")
    assert await sessions.mark_done(broker, "c1", "a2")
