"""The ways through Redis, measured across machines whose clocks say different things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.hops import Hops
from callbus.busclock import BusClock
from callbus.media import Playback
from callbus.transcript import TurnTimed

REDIS = 1_750_000_000.0
"""Redis' epoch clock less the true time."""


class Machines:
    """A worker and a streamer. `true` time begins at 0; each side's clock is off by what is given, and never steps."""

    def __init__(self, *, worker: float = 0.0, streamer: float = 0.0) -> None:
        self.worker, self.streamer = REDIS + worker, REDIS + streamer
        self.redis = REDIS
        self.clocks = {"worker": BusClock(), "streamer": BusClock()}
        self.hops = Hops()

    def ask_redis(self, *sides: str, at: float) -> None:
        for side in sides:
            # On the true time as a monotonic clock, half a millisecond each way.
            self.clocks[side].observe(at, at + 0.001, at + 0.0005 + self.redis)

    def turn(self, at: float, *, way_in: float, way_out: float, thinking: float = 0.8, lag: float = 0.04) -> TurnTimed:
        """A turn whose caller falls silent at `at` (true time), as the worker writes it down."""
        verdict = at + way_in
        self.hops.received(at + self.streamer)
        self.hops.paused(verdict + self.worker)
        published = verdict + thinking
        self.hops.spoke("s1", published + self.worker)
        sent = published + way_out
        ahead = self.clocks["streamer"].ahead
        played = Playback(
            sent + lag + self.streamer,
            "started",
            "s1",
            arrived_at=sent + self.streamer,
            sent_at=sent + self.streamer,
            bus_ahead=None if ahead is None else ahead - self.streamer,
        )
        self.hops.started(played)
        # The conversation counts from when it got to know: it does not see the way in.
        stages = {"turn_end": 500.0, "tts_first_byte": thinking * 1000}
        heard = round((sent + lag - at) * 1000, 1)
        ours = self.clocks["worker"].ahead
        return self.hops.timed(TurnTimed(published, 1, stages, heard), None if ours is None else ours - self.worker)


@pytest.mark.parametrize("streamer", [-3600.0, -5.0, 0.0, 5.0])
@pytest.mark.parametrize("worker", [-5.0, 0.0, 1.0])
def test_clocks_that_are_off_make_no_difference(worker: float, streamer: float) -> None:
    machines = Machines(worker=worker, streamer=streamer)
    machines.ask_redis("worker", "streamer", at=0.0)
    timed = machines.turn(10.0, way_in=0.025, way_out=0.003)
    assert timed.hops == {"in": pytest.approx(25, abs=2), "out": pytest.approx(3, abs=2)}
    # From the end of the caller's speech: the way in, the thinking, the way out.
    assert timed.stages["tts_first_byte"] == pytest.approx(825, abs=2)
    assert timed.stages["first_audio_sent"] == pytest.approx(828, abs=0.2)
    assert timed.voice_to_voice_ms == pytest.approx(868, abs=0.2)
    assert list(timed.stages) == ["turn_end", "tts_first_byte", "first_audio_sent"]


@pytest.mark.parametrize("step", [-3600.0, -5.0, 5.0, 3600.0])
@pytest.mark.parametrize("noticed_by", [(), ("worker",), ("streamer",), ("worker", "streamer")])
def test_a_clock_that_is_set_in_the_middle_of_a_call_makes_nothing_absurd(
    step: float, noticed_by: tuple[str, ...]
) -> None:
    machines = Machines(streamer=5.0)
    machines.ask_redis("worker", "streamer", at=0.0)
    machines.redis += step
    machines.ask_redis(*noticed_by, at=9.0)
    timed = machines.turn(10.0, way_in=0.025, way_out=0.003)
    assert sum(timed.hops.values()) == pytest.approx(28, abs=0.3)
    assert all(0.0 <= ms <= 28.3 for ms in timed.hops.values())
    assert all(0.0 <= ms < 1000 for ms in timed.stages.values())
    if len(noticed_by) != 1:
        assert timed.hops["in"] == pytest.approx(25, abs=2)


@given(
    st.floats(-1e5, 1e5),
    st.floats(-1e5, 1e5),
    st.floats(0.0, 2.0),
    st.floats(0.0, 2.0),
    st.lists(st.tuples(st.sampled_from(["worker", "streamer", "step"]), st.floats(-1e5, 1e5)), max_size=6),
)
def test_whatever_the_clocks_do_no_way_is_negative_or_longer_than_both(
    worker: float, streamer: float, way_in: float, way_out: float, before: list[tuple[str, float]]
) -> None:
    machines = Machines(worker=worker, streamer=streamer)
    for number, (what, step) in enumerate(before):
        if what == "step":
            machines.redis += step
        else:
            machines.ask_redis(what, at=float(number))
    timed = machines.turn(10.0, way_in=way_in, way_out=way_out)
    for ms in timed.hops.values():
        assert 0.0 <= ms <= 1000 * (way_in + way_out) + 0.2
    stages = list(timed.stages.values())
    assert stages == sorted(stages)
    assert stages[0] >= 0


def test_what_is_not_known_is_not_told() -> None:
    machines = Machines()
    machines.ask_redis("worker", at=0.0)
    timed = machines.turn(10.0, way_in=0.025, way_out=0.003)
    assert timed.hops == {}
    assert timed.stages["turn_end"] == 500.0
    assert timed.stages["first_audio_sent"] == pytest.approx(828, abs=0.2)


def test_an_answer_that_another_worker_published_has_no_hops() -> None:
    machines = Machines()
    machines.ask_redis("worker", "streamer", at=0.0)
    hops = Hops()
    hops.started(Playback(11.0, "started", "1.4", arrived_at=10.9, sent_at=10.9, bus_ahead=0.0))
    assert hops.timed(TurnTimed(11.0, 2, {"turn_end": 500.0}, 900.0), 0.0).hops == {}
    assert Hops().timed(TurnTimed(11.0, 2, {}, None), 0.0) == TurnTimed(11.0, 2, {}, None)


def test_what_was_sent_at_once_was_not_sent_before_it_was_there() -> None:
    hops = Hops()
    hops.spoke("s1", 100.5)
    hops.started(Playback(100.54, "started", "s1", arrived_at=100.5, sent_at=100.5))
    # The worker's clock is read a little later than the streamer's.
    timed = hops.timed(TurnTimed(100.6, 1, {"turn_end": 490.0, "tts_first_byte": 500.3}, 540.0), None)
    assert timed.stages == {"turn_end": 490.0, "tts_first_byte": 500.3, "first_audio_sent": 500.3}
