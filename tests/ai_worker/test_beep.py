"""The beep of an answering machine, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ai_worker.beep import BeepDetector
from callbus import g711
from callbus.pcm import frame_bytes
from support.recordings import load_all

Floats = NDArray[np.float64]


def tone(rate: int, ms: float, *hz: float, level: float = 8000.0) -> Floats:
    t = np.arange(int(rate * ms / 1000)) / rate
    return level * np.mean([np.sin(2 * np.pi * f * t) for f in hz], axis=0)  # type: ignore[no-any-return]


def silence(rate: int, ms: float) -> Floats:
    return np.zeros(int(rate * ms / 1000))


def beeps(rate: int, *parts: Floats, noise: float = 30.0, chunk: int = 1) -> int:
    detector = BeepDetector(rate)
    sound = np.concatenate(parts)
    sound = sound + np.random.default_rng(7).normal(0, noise, len(sound))
    pcm = np.clip(sound, -32768, 32767).astype("<i2").tobytes()
    size = frame_bytes(rate) * chunk
    return sum(detector.receive(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size))


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([8000, 16000]),
    st.floats(410, 2090),
    st.floats(300, 1400),
    st.floats(1500, 14000),
    st.floats(100, 140),
)
def test_a_pure_tone_of_some_length_is_a_beep(rate: int, hz: float, ms: float, level: float, lead: float) -> None:
    assert beeps(rate, silence(rate, lead), tone(rate, ms, hz, level=level), silence(rate, 200)) == 1


@pytest.mark.parametrize(
    ("what", "parts"),
    [
        ("too short", [(150, (1000,))]),
        ("a dial tone", [(3000, (440,))]),
        ("too low", [(600, (300,))]),
        ("too high", [(600, (2500,))]),
        ("a key", [(600, (770, 1336))]),
        ("a ring-back tone", [(2000, (440, 480))]),
        ("two beeps in one", [(200, (700,)), (200, (1400,))]),
        ("hardly audible", [(600, (1000,))]),
    ],
)
def test_what_is_no_beep(what: str, parts: list[tuple[float, tuple[float, ...]]]) -> None:
    level = 60.0 if what == "hardly audible" else 8000.0
    sounds = [tone(8000, ms, *hz, level=level) for ms, hz in parts]
    assert beeps(8000, silence(8000, 100), *sounds, silence(8000, 200), noise=5.0) == 0


def test_it_is_told_when_it_is_over() -> None:
    assert beeps(8000, silence(8000, 100), tone(8000, 500, 1000)) == 0
    assert beeps(8000, silence(8000, 100), tone(8000, 500, 1000), silence(8000, 60)) == 1


def test_it_survives_a_telephone_line_and_frames_in_bunches() -> None:
    sound = np.concatenate([silence(8000, 100), tone(8000, 400, 1400), silence(8000, 200)]).astype("<i2").tobytes()
    coded = g711.ulaw_decode(g711.ulaw_encode(sound))
    detector = BeepDetector(8000)
    size = frame_bytes(8000) * 5
    assert sum(detector.receive(coded[at : at + size]) for at in range(0, len(coded), size)) == 1


def test_speech_is_no_beep() -> None:
    for recording in load_all():
        detector = BeepDetector(8000)
        pcm = recording.pcm
        size = frame_bytes(8000)
        assert not any(detector.receive(pcm[at : at + size]) for at in range(0, len(pcm) - size + 1, size))
