"""A call's clock: whatever happens to the machine's, and woken once, at the moment that was asked for last."""

from __future__ import annotations

import asyncio
import time

import pytest

from ai_worker.call_clock import CallClock
from callbus.busclock import BusClock
from support.waiting import until


def nobody() -> None:
    raise AssertionError("woken")


def test_a_machine_whose_clock_is_set_does_not_move_it(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = CallClock(BusClock(), nobody)
    before = clock.now()
    assert before == pytest.approx(time.time(), abs=1)
    monkeypatch.setattr(time, "time", lambda: 5.0)
    assert before <= clock.now() < before + 10


def test_how_far_redis_clock_is_ahead_is_told_of_this_clock() -> None:
    bus_clock = BusClock()
    clock = CallClock(bus_clock, nobody)
    assert clock.bus_ahead is None
    now = time.monotonic()
    bus_clock.observe(now, now, clock.now() + 30.0)
    assert clock.bus_ahead == pytest.approx(30.0, abs=0.1)


async def test_the_last_moment_counts() -> None:
    woken: list[float] = []
    clock = CallClock(BusClock(), lambda: woken.append(clock.now()))
    begun = clock.now()
    clock.wake_at(begun + 0.01)
    clock.wake_at(begun + 0.05)
    await until(lambda: bool(woken), what="the clock")
    assert woken[0] >= begun + 0.045
    # What is due already is due at once, and the same moment is not told twice.
    clock.wake_at(begun)
    await until(lambda: len(woken) == 2, what="the clock")
    assert len(woken) == 2


async def test_nobody_is_woken_who_has_asked_for_nothing_more() -> None:
    clock = CallClock(BusClock(), nobody)
    faults: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["message"]))
    clock.wake_at(clock.now())
    clock.wake_at(None)
    later = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, later.set)
    await later.wait()
    assert faults == []
