"""One press, told twice, counts once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streamer.presses import MOST_UNMATCHED, PRESSES_AT_ONCE, PRESSES_PER_S, SAME_PRESS_S, Presses, Ration


def test_only_one_way_of_telling() -> None:
    presses = Presses()
    assert [presses.heard("1", at) for at in (0.0, 0.1, 0.2)] == [True] * 3
    presses = Presses()
    assert [presses.signalled("1", at) for at in (0.0, 0.1, 0.2)] == [True] * 3


def test_a_key_that_is_told_on_its_release() -> None:
    presses = Presses()
    assert presses.heard("1", 0.0)
    for tick in range(1, 250):
        presses.still_heard(tick * 0.02)
    assert not presses.signalled("1", 5.5)


def test_another_key_or_much_later_is_another_press() -> None:
    presses = Presses()
    assert presses.heard("1", 0.0)
    assert presses.signalled("2", 0.1)
    assert presses.signalled("1", SAME_PRESS_S + 0.1)


@given(
    keys=st.lists(st.sampled_from("0123456789*#"), max_size=12),
    delays=st.lists(st.floats(-0.4, 0.4), min_size=12, max_size=12),
    told=st.sets(st.integers(0, 11)),
    audible=st.sets(st.integers(0, 11)),
)
def test_every_press_counts_once(keys: list[str], delays: list[float], told: set[int], audible: set[int]) -> None:
    """Presses a second and a half apart, each told, heard, or both, in either order."""
    presses = Presses()
    reports = sorted(
        [(1.5 * n, "heard", key) for n, key in enumerate(keys) if n in audible]
        + [(1.5 * n + delays[n], "signalled", key) for n, key in enumerate(keys) if n in told]
    )
    counted = [key for at, way, key in reports if getattr(presses, way)(key, at)]
    assert counted == [key for n, key in enumerate(keys) if n in told or n in audible]


@given(times=st.integers(1, 8), lag=st.floats(0.01, 0.9))
def test_a_key_pressed_again_and_again(times: int, lag: float) -> None:
    presses = Presses()
    reports = sorted([(0.1 * n, True) for n in range(times)] + [(0.1 * n + lag, False) for n in range(times)])
    counted = [presses.heard("1", at) if heard else presses.signalled("1", at) for at, heard in reports]
    assert sum(counted) == times


def test_a_flood_of_one_key_is_matched_as_far_as_anyone_can_press() -> None:
    presses = Presses()
    assert all(presses.signalled("1", 0.0) for _ in range(100_000))
    heard = [presses.heard("1", 0.5) for _ in range(MOST_UNMATCHED + 1)]
    assert heard == [False] * MOST_UNMATCHED + [True]


def test_a_ration_is_what_may_come_at_once_and_then_so_many_a_second() -> None:
    ration = Ration()
    assert sum(ration.allows(1000.0) for _ in range(1000)) == PRESSES_AT_ONCE
    assert sum(ration.allows(1001.0) for _ in range(1000)) == PRESSES_PER_S
    assert sum(ration.allows(9000.0) for _ in range(1000)) == PRESSES_AT_ONCE
    # As fast as tones can be, for a minute.
    ration = Ration()
    assert all(ration.allows(0.08 * n) for n in range(750))
