"""How old audio is when its conversation is told of it, and what never came."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from ai_worker.audio_way import AudioWay
from callbus import media

FRAME = bytes(320)


def _value(way: AudioWay, name: str, **labels: str) -> float | None:
    registry = CollectorRegistry()
    registry.register(way)
    return registry.get_sample_value(f"ringover_worker_audio_{name}", labels)


def test_ages_are_counted_by_frames() -> None:
    way = AudioWay()
    way.arrived("a", media.Audio(10.0, 0, FRAME * 3), 8000)
    way.arrived("b", media.Audio(10.004, 0, bytes(640)), 16000)
    way.arrived("b", media.Dtmf(9.0, "1"), 16000)
    way.told(10.0125)
    assert _value(way, "age_seconds_bucket", le="0.008") == 0
    assert _value(way, "age_seconds_bucket", le="0.009") == 1
    assert _value(way, "age_seconds_bucket", le="0.012") == 1
    assert _value(way, "age_seconds_bucket", le="0.013") == 4
    assert _value(way, "age_seconds_count") == 4
    way.arrived("a", media.Audio(10.1, 60, FRAME), 8000)
    way.told(20.0)
    assert _value(way, "age_seconds_bucket", le="5.0") == 4
    assert _value(way, "age_seconds_count") == 5


def test_frames_that_never_came_are_counted() -> None:
    way = AudioWay()
    # A call that was taken over is read from its middle.
    way.arrived("a", media.Audio(1.0, 4000, FRAME * 2), 8000)
    way.arrived("a", media.Audio(1.0, 4040, FRAME), 8000)
    assert _value(way, "frames_missed_total") == 0
    assert way.arrived("a", media.Audio(1.0, 4120, FRAME), 8000) == 60
    assert _value(way, "frames_missed_total") == 3
    # The same entry twice, after an outage.
    assert way.arrived("a", media.Audio(1.0, 4060, FRAME * 5), 8000) == -80
    way.arrived("a", media.Audio(1.0, 4140, FRAME), 8000)
    assert _value(way, "frames_missed_total") == 3
    # Another session counts anew, and one that Redis had lost goes on counting.
    for position in (0, 60_000):
        way.arrived("a", media.MediaStarted(1.0, "s", "streamer", 8000, resumed=True), 8000)
        assert way.arrived("a", media.Audio(1.0, position, FRAME), 8000) == 0
    way.forget("a")
    way.arrived("a", media.Audio(1.0, 8000, FRAME), 8000)
    assert _value(way, "frames_missed_total") == 3
