"""The caller's ear on virtual time: every playback is heard once, in order, at the right sample."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringover_sim.errors import SimulatorError
from ringover_sim.playout import Playout

RATE = 8000


def tone(samples: int, level: int) -> bytes:
    return np.full(samples, level, "<i2").tobytes()


def heard(playout: Playout) -> list[int]:
    return [int(sample) for sample in np.frombuffer(bytes(playout.heard), "<i2")]


def test_a_playback_is_heard_from_the_sample_it_arrived_at() -> None:
    playout = Playout(RATE)
    playback = playout.enqueue(tone(3, 7), 5)
    playout.advance(10)
    assert heard(playout) == [0, 0, 0, 0, 0, 7, 7, 7, 0, 0]
    assert (playback.started, playback.ended, playback.cut) == (5, 8, False)


def test_playbacks_are_queued_with_a_seam_between_them() -> None:
    playout = Playout(RATE, seam_gap_ms=1)
    playout.enqueue(tone(4, 1), 0)
    playout.enqueue(tone(4, 2), 0)
    playout.advance(20)
    assert heard(playout) == [1] * 4 + [0] * 8 + [2] * 4 + [0] * 4


def test_a_piece_that_comes_long_after_the_one_before_has_no_seam_left_to_wait_for() -> None:
    playout = Playout(RATE, seam_gap_ms=1)
    playout.enqueue(tone(2, 1), 0)
    late = playout.enqueue(tone(2, 2), 100)
    playout.advance(200)
    assert late.started == 100


def test_break_silences_at_once_and_empties_the_queue() -> None:
    playout = Playout(RATE)
    first, second = playout.enqueue(tone(100, 1), 0), playout.enqueue(tone(100, 2), 0)
    playout.silence(30)
    playout.advance(400)
    assert heard(playout) == [1] * 30 + [0] * 370
    assert (first.ended, first.cut) == (30, True)
    assert (second.started, second.cut) == (None, True)
    after = playout.enqueue(tone(5, 3), 400)
    playout.advance(410)
    assert after.started == 400


def test_a_play_keeps_its_place_until_its_file_is_there() -> None:
    playout = Playout(RATE, seam_gap_ms=0)
    file = playout.reserve(0)
    playout.enqueue(tone(3, 2), 1)
    playout.fill(file, tone(3, 1), 10)
    playout.advance(20)
    assert heard(playout) == [0] * 10 + [1] * 3 + [2] * 3 + [0] * 4


def test_a_play_that_fails_does_not_hold_up_those_behind_it() -> None:
    playout = Playout(RATE, seam_gap_ms=0)
    file = playout.reserve(0)
    playout.enqueue(tone(3, 2), 1)
    playout.advance(10)
    playout.discard(file)
    playout.advance(15)
    assert heard(playout) == [0] * 10 + [2] * 3 + [0] * 2


def test_a_file_that_arrives_after_break_is_not_heard() -> None:
    playout = Playout(RATE)
    file = playout.reserve(0)
    playout.silence(5)
    playout.fill(file, tone(10, 1), 8)
    playout.advance(50)
    assert heard(playout) == [0] * 50


def test_playing_and_waiting_follow_the_clock() -> None:
    playout = Playout(RATE, seam_gap_ms=0)
    playout.enqueue(tone(10, 1), 0)
    playout.enqueue(tone(10, 2), 0)
    seen = []
    for time in (5, 15, 25):
        playout.advance(time)
        playing = playout.playing
        seen.append((None if playing is None else playout.history.index(playing), playout.waiting))
    assert seen == [(0, 1), (1, 0), (None, 0)]


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(SimulatorError, match="3 bytes"):
        Playout(RATE).enqueue(b"abc", 0)


pieces = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 60)), max_size=12)


@given(pieces, st.integers(0, 3), st.lists(st.integers(1, 50), max_size=30))
def test_nothing_is_lost_doubled_or_reordered(arrivals: list[tuple[int, int]], seam: int, steps: list[int]) -> None:
    """However arrivals and ticks interleave, each piece is heard whole, once, in order, with at least the seam."""
    playout = Playout(RATE, seam_gap_ms=seam)
    now = 0
    ticks = iter(steps)
    for level, (wait, length) in enumerate(arrivals, start=1):
        now += wait
        playout.enqueue(tone(length, level), now)
        playout.advance(now + next(ticks, 0))
    playout.advance(now + sum(length + 8 * seam for _, length in arrivals) + 100)
    samples = heard(playout)
    assert [s for s in samples if s] == [level for level, (_, n) in enumerate(arrivals, 1) for _ in range(n)]
    for playback in playout.history:
        assert playback.started is not None
        assert playback.started >= playback.received
    starts_and_ends = [(p.started, p.ended) for p in playout.history]
    for (_, ended), (started, _) in pairwise(starts_and_ends):
        assert ended is not None
        assert started is not None
        assert started >= ended + 8 * seam


@given(pieces, st.integers(0, 500))
def test_after_break_there_is_only_silence(arrivals: list[tuple[int, int]], at: int) -> None:
    playout = Playout(RATE)
    for level, (_, length) in enumerate(arrivals, start=1):
        playout.enqueue(tone(length, level), 0)
    playout.silence(at)
    playout.advance(at + 2000)
    assert not any(heard(playout)[at:])
    assert playout.position == at + 2000
