"""The worker with the fewest calls takes the next one."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker import fair_share
from ai_worker.fair_share import FairShare, holds_back
from callbus.broker import Broker
from callbus.claims import Claims
from support.waiting import until


@pytest.mark.parametrize(
    ("mine", "others", "held_back"),
    [
        (10, [], False),
        (10, [10, 30], False),
        (10, [9], True),
        (9, [10], False),
        (40, [39], False),
        (40, [36, 50], True),
        (1, [0], True),
    ],
)
def test_who_holds_back(mine: int, others: list[int], held_back: bool) -> None:
    assert holds_back(mine, others) is held_back


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_somebody_always_takes_the_call(calls: list[int]) -> None:
    assert not all(holds_back(mine, calls[:n] + calls[n + 1 :]) for n, mine in enumerate(calls))


def test_calls_end_up_evenly_spread() -> None:
    held = Counter({"a": 30, "b": 0, "c": 7, "d": 0})
    for _ in range(100 - held.total()):
        others = {name: [held[other] for other in held if other != name] for name in held}
        # The worst case: of those who may, the fullest one is the first.
        free = [name for name in held if not holds_back(held[name], others[name])]
        taker = max(free, key=lambda name: held[name])
        held[taker] += 1
    assert max(held.values()) <= 1.2 * 25


async def test_workers_that_died_long_ago_are_forgotten(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fair_share, "FORGOTTEN_AFTER_S", 0.05)
    monkeypatch.setattr(fair_share, "TIDY_EVERY_S", 0.0)
    monkeypatch.setattr(fair_share, "LOOK_EVERY_S", 0.01)
    for worker in ("dead", "w1"):
        await Claims(broker, worker).take_new(1, block_ms=1)
    claims = Claims(broker, "w1")
    watching = asyncio.create_task(FairShare(broker, claims, "worker", "w1").watch())

    async def known() -> bool:
        return list(await claims.held()) == ["w1"]

    await until(known, what="the dead one is forgotten")
    watching.cancel()
    await asyncio.wait([watching])
