"""Redis' clock as a process reads it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbus.broker import Broker
from callbus.busclock import PERIOD_S, BusClock
from support.waiting import until

AHEAD = 1_750_000_000.0


def answered(clock: BusClock, at: float, *, way_out: float, way_back: float, ahead: float = AHEAD) -> None:
    """A question that took so many seconds there and back; Redis' clock is `ahead` of the monotonic one."""
    clock.observe(at, at + way_out + way_back, at + way_out + ahead)


def test_nothing_is_known_at_first() -> None:
    assert BusClock().ahead is None


@given(st.lists(st.tuples(st.floats(0.0, 0.5), st.floats(0.0, 0.5)), min_size=1, max_size=40))
def test_it_is_never_further_off_than_it_says(ways: list[tuple[float, float]]) -> None:
    clock = BusClock()
    for number, (out, back) in enumerate(ways):
        answered(clock, number * PERIOD_S, way_out=out, way_back=back)
        assert clock.ahead is not None
        assert abs(clock.ahead - AHEAD) <= clock.error + 1e-6


def test_a_slow_answer_does_not_spoil_what_a_quick_one_told() -> None:
    clock = BusClock()
    answered(clock, 0.0, way_out=0.0005, way_back=0.0005)
    answered(clock, 2.0, way_out=0.0, way_back=0.4)
    assert clock.ahead == pytest.approx(AHEAD, abs=0.001)


@pytest.mark.parametrize("step", [-3600.0, -5.0, -0.02, 0.02, 5.0, 3600.0])
def test_a_clock_that_is_set_is_believed_at_once(step: float) -> None:
    clock = BusClock()
    for number in range(5):
        answered(clock, 2.0 * number, way_out=0.0005, way_back=0.0005)
    answered(clock, 10.0, way_out=0.001, way_back=0.001, ahead=AHEAD + step)
    assert clock.ahead == pytest.approx(AHEAD + step, abs=0.001)


def test_clocks_that_drift_apart_are_followed() -> None:
    clock = BusClock()
    for number in range(900):
        at = 2.0 * number
        answered(clock, at, way_out=0.0005, way_back=0.0005, ahead=AHEAD + 50e-6 * at)
    assert clock.ahead == pytest.approx(AHEAD + 50e-6 * 1800, abs=0.003)


async def test_redis_is_asked(broker: Broker) -> None:
    clock = BusClock()
    asking = asyncio.create_task(clock.run(broker))
    await until(lambda: clock.ahead is not None)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    assert clock.ahead is not None
    # The same machine here: its epoch clock is Redis' own.
    assert clock.ahead + time.monotonic() == pytest.approx(time.time(), abs=clock.error + 0.01)
    assert clock.error < 0.5
