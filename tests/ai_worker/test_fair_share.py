"""The worker with the most room takes the next call."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.fair_share import holds_back


def beat(calls: int, capacity: int = 50, *, draining: bool = False) -> dict[str, Any]:
    return {"calls": calls, "capacity": capacity, "draining": draining}


@pytest.mark.parametrize(
    ("mine", "others", "held_back"),
    [
        (10, [], False),
        (10, [beat(10)], False),
        (10, [beat(9)], True),
        (9, [beat(10)], False),
        (40, [beat(39)], False),
        (40, [beat(36)], True),
        (3, [beat(0)], True),
        (3, [beat(0, draining=True)], False),
        (3, [beat(2, capacity=2)], False),
        (20, [beat(30, capacity=100)], True),
        (20, [beat(45, capacity=100)], False),
    ],
)
def test_who_holds_back(mine: int, others: list[dict[str, Any]], held_back: bool) -> None:
    assert holds_back(mine, 50, others) is held_back


@given(st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_somebody_takes_the_call_while_there_is_room(calls: list[int]) -> None:
    free = [
        not holds_back(mine, 50, [beat(other) for m, other in enumerate(calls) if m != n])
        for n, mine in enumerate(calls)
        if mine < 50
    ]
    assert any(free) or not free


def test_calls_end_up_evenly_spread() -> None:
    held = Counter({"a": 30, "b": 0, "c": 7, "d": 0})
    for _ in range(100 - held.total()):
        others = {name: [beat(held[other]) for other in held if other != name] for name in held}
        # The worst case: of those who may, the fullest one is the first.
        free = [name for name in held if not holds_back(held[name], 50, others[name])]
        taker = max(free, key=lambda name: held[name])
        held[taker] += 1
    assert max(held.values()) <= 1.2 * 25
