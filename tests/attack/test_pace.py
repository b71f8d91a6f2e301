"""How fast one client is read: no call ever waits for it, a flood always does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.pace import COST_MAX, COST_PER_S, TOLD_A_FRAME, Pace


@pytest.mark.parametrize(("ms", "size"), [(10, 160), (20, 320), (20, 640), (20, 1280), (100, 6400), (10, 640)])
def test_a_call_of_any_form_never_waits_also_after_a_stall(ms: int, size: int) -> None:
    pace = Pace(0.0)
    for n in range(20_000):
        assert pace.allows(n * ms / 1000)
        pace.spend(1, size)
    # 5 s of it come at once.
    at = 20_000 * ms / 1000 + 5
    for _ in range(5000 // ms):
        assert pace.allows(at)
        pace.spend(1, size)


def test_keys_cost_less_than_messages_and_are_not_free() -> None:
    pace = Pace(0.0)
    messages = 0
    while pace.allows(0.0):
        pace.spend(1, 64)
        pace.spend_told(32)
        messages += 1
    assert messages == pytest.approx(COST_MAX / (1 + 64 / 320 + 32 / TOLD_A_FRAME), abs=1)


@given(st.lists(st.tuples(st.integers(1, 700), st.integers(0, 4096), st.floats(0, 0.02)), min_size=50, max_size=200))
def test_a_flood_is_read_at_the_pace(flood: list[tuple[int, int, float]]) -> None:
    pace, now, read, frames_at_once = Pace(0.0), 0.0, 0, 0
    for frames, size, later in flood:
        now += later
        if not pace.allows(now):
            assert pace.wait_s > 0
            now += pace.wait_s + 1e-9
            assert pace.allows(now)
        pace.spend(frames, size)
        read += frames
        frames_at_once = max(frames_at_once, frames)
    assert read <= COST_MAX + now * COST_PER_S + frames_at_once
