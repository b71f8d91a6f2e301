"""How media sessions join and leave their call."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from callbus import calls, keys, sessions
from callbus.broker import Broker
from callbus.claims import Claims, Lease


async def test_a_drop_is_noted_for_the_session_that_has_the_call_only(broker: Broker) -> None:
    await sessions.attach(broker, "c1", streamer="st", session="s1", sample_rate=8000)
    await sessions.attach(broker, "c1", streamer="st", session="s2", sample_rate=8000)
    assert await sessions.away(broker, "c1", session="s1") is False
    assert (await calls.get(broker, "c1"))["media"] == "connected"
    assert await sessions.away(broker, "c1", session="s2") is True
    assert (await calls.get(broker, "c1"))["media"] == "away"
    await sessions.attach(broker, "c1", streamer="st", session="s3", sample_rate=8000)
    assert "media_closed" not in await calls.get(broker, "c1")


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time of day, as sessions and claims see it."""
    clock = SimpleNamespace(now=1_000_000.0)
    told = SimpleNamespace(time=lambda: clock.now)
    monkeypatch.setattr("callbus.sessions.time", told)
    monkeypatch.setattr("callbus.claims.time", told)
    return clock


async def attach(broker: Broker, session: str) -> sessions.Attached:
    return await sessions.attach(broker, "c1", streamer="st", session=session, sample_rate=8000)


async def claim(broker: Broker) -> tuple[Claims, Lease]:
    claims = Claims(broker, "w1")
    await claims.prepare()
    [waiting] = await claims.take_new(1, block_ms=1)
    lease = await claims.begin(waiting)
    assert lease is not None
    return claims, lease


@pytest.mark.parametrize("outcome", sessions.OVER)
async def test_a_call_stays_over_while_somebody_comes_back_to_it(
    broker: Broker, at: SimpleNamespace, outcome: str
) -> None:
    await attach(broker, "s1")
    claims, lease = await claim(broker)
    await claims.finish(lease, outcome=outcome)
    for _ in range(5):
        at.now += keys.RECONNECT_WINDOW_S - 1
        assert await attach(broker, "s2") == sessions.Attached("over", "st", "s1", outcome)
    at.now += keys.RECONNECT_WINDOW_S - 1
    await sessions.knocked(broker, ["c1", "c2"])
    assert await calls.get(broker, "c2") == {}
    at.now += keys.RECONNECT_WINDOW_S - 1
    assert (await attach(broker, "s2")).outcome == "over"
    # The same id long after is a call like any other, and dropping out of it no end.
    at.now += keys.RECONNECT_WINDOW_S
    assert (await attach(broker, "s3")).outcome == "new"
    await claim(broker)
    assert (await attach(broker, "s4")).outcome == "resumed"


@pytest.mark.parametrize("outcome", ["failed", "transferred"])
async def test_who_still_waits_for_somebody_is_let_in_however_often_they_ask(
    broker: Broker, at: SimpleNamespace, outcome: str
) -> None:
    await attach(broker, "s1")
    claims, lease = await claim(broker)
    await claims.finish(lease, outcome=outcome)
    for _ in range(keys.RECONNECT_WINDOW_S):
        assert (await attach(broker, "s2")).ended_as == outcome
        await sessions.knocked(broker, ["c1"])
        at.now += 1
    assert (await attach(broker, "s2")).outcome == "new"


async def test_a_call_is_over_as_soon_as_the_bot_hangs_up(broker: Broker, at: SimpleNamespace) -> None:
    await attach(broker, "s1")
    claims, lease = await claim(broker)
    assert await sessions.mark_done(broker, "c1", "a1", hangs_up=True)
    assert await attach(broker, "s2") == sessions.Attached("over", "st", "s1", "")
    # So it is still the first session's to end.
    assert await sessions.end(broker, "c1", session="s1", reason="hangup")
    await claims.finish(lease, outcome="bot_ended")
    at.now += keys.RECONNECT_WINDOW_S - 1
    assert (await attach(broker, "s3")).ended_as == "bot_ended"


async def test_a_hang_up_that_ended_nothing_is_forgotten(broker: Broker, at: SimpleNamespace) -> None:
    await attach(broker, "s1")
    await sessions.mark_done(broker, "c1", "a1", hangs_up=True)
    at.now += keys.RECONNECT_WINDOW_S
    assert (await attach(broker, "s2")).outcome == "resumed"
    assert (await attach(broker, "s3")).outcome == "resumed"
