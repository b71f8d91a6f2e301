"""Keys in the sound of a call: every press once, and nothing else taken for one."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ai_worker.providers.local_tts import LocalHibari
from callbus.pcm import frame_bytes
from streamer.dtmf import ToneDetector
from support.recordings import TRANSCRIPTS, load, load_wideband
from support.signals import not_speech
from support.tones import KEYS, s16le, through_alaw, through_ulaw, tones

RATES = pytest.mark.parametrize("rate", [8000, 16000])
ALL = KEYS + "11"


def frames_of(pcm: bytes, rate: int) -> list[bytes]:
    size = frame_bytes(rate)
    return [pcm[start : start + size] for start in range(0, len(pcm) - size + 1, size)]


def hear(pcm: bytes, rate: int) -> tuple[str, int]:
    """The digits, and how many frames were taken for a tone."""
    detector = ToneDetector(rate)
    found = [tone for frame in frames_of(pcm, rate) if (tone := detector.receive(frame)) is not None]
    return "".join(tone.digit or "" for tone in found), len(found)


# Presses


@RATES
@pytest.mark.parametrize("dbm0", [-30, -20, -10, -6, 0])
@pytest.mark.parametrize("twist_db", [-6, 0, 6])
@pytest.mark.parametrize("codec", [bytes, through_ulaw, through_alaw])
def test_every_key_is_recognised_at_every_level(
    rate: int, dbm0: float, twist_db: float, codec: Callable[[bytes], bytes]
) -> None:
    for lead_ms in (0, 3.3, 7.7, 11.1, 16.4):
        pcm = codec(tones(ALL, rate, dbm0=dbm0, twist_db=twist_db, lead_ms=lead_ms))
        assert hear(pcm, rate)[0] == ALL


@RATES
@pytest.mark.parametrize("detuned", [-0.015, 0, 0.015])
@pytest.mark.parametrize("twist_db", [-6, 6])
def test_noise_and_a_telephone_out_of_tune_do_no_harm(rate: int, detuned: float, twist_db: float) -> None:
    for seed, lead_ms in enumerate(np.arange(0, 20, 1.9)):
        pcm = tones(
            ALL, rate, dbm0=-25, twist_db=twist_db, detuned=detuned, lead_ms=float(lead_ms), snr_db=15, seed=seed
        )
        assert hear(through_ulaw(pcm), rate)[0] == ALL


@given(
    keys=st.text(KEYS, max_size=6),
    lead_ms=st.floats(0, 40),
    on_ms=st.floats(40, 150),
    off_ms=st.floats(40, 150),
    rate=st.sampled_from([8000, 16000]),
)
def test_a_press_counts_once_wherever_frames_cut_it(
    keys: str, lead_ms: float, on_ms: float, off_ms: float, rate: int
) -> None:
    assert hear(tones(keys, rate, lead_ms=lead_ms, on_ms=on_ms, off_ms=off_ms), rate)[0] == keys


@RATES
@pytest.mark.parametrize("lead_ms", range(0, 20, 3))
def test_a_held_key_is_one_press_also_when_a_packet_is_lost(rate: int, lead_ms: float) -> None:
    frames = frames_of(tones("5", rate, on_ms=3000, lead_ms=lead_ms), rate)
    frames[40] = frames[90] = bytes(len(frames[0]))
    assert hear(b"".join(frames), rate)[0] == "5"


@RATES
@pytest.mark.parametrize("lead_ms", range(0, 20, 3))
def test_too_short_or_out_of_tune_is_no_key(rate: int, lead_ms: float) -> None:
    assert hear(tones(KEYS, rate, on_ms=22, lead_ms=lead_ms), rate)[0] == ""
    assert hear(tones(KEYS, rate, detuned=0.035, lead_ms=lead_ms), rate)[0] == ""
    assert hear(tones(KEYS, rate, detuned=-0.035, lead_ms=lead_ms), rate)[0] == ""
    assert hear(tones(KEYS, rate, twist_db=15, lead_ms=lead_ms), rate)[0] == ""


def test_a_key_is_known_while_it_sounds() -> None:
    detector = ToneDetector(8000)
    found = [detector.receive(frame) for frame in frames_of(tones("7", 8000, on_ms=200), 8000)]
    (at,) = (number for number, tone in enumerate(found) if tone and tone.digit)
    assert at * 20 + 20 <= 60


@given(lead_ms=st.floats(0, 40), key=st.sampled_from(KEYS))
def test_hardly_anything_of_a_tone_is_left(lead_ms: float, key: str) -> None:
    detector = ToneDetector(8000)
    frames = frames_of(tones(key, 8000, on_ms=100, lead_ms=lead_ms), 8000)
    left = [frame for frame in frames if detector.receive(frame) is None]
    assert np.count_nonzero(np.frombuffer(b"".join(left), "<i2")) <= 8 * 25


# Everything else


@functools.cache
def recordings() -> list[tuple[str, bytes, int]]:
    found = [load(name) for name in TRANSCRIPTS] + [load_wideband(name) for name in TRANSCRIPTS]
    return [(recording.name, recording.pcm, recording.sample_rate) for recording in found]


def louder(pcm: bytes, gain: float) -> bytes:
    return s16le(np.frombuffer(pcm, "<i2").astype(np.float64) * gain)


@pytest.mark.parametrize("gain", [0.2, 1.0, 3.0, 10.0])
def test_speech_is_never_a_tone(gain: float) -> None:
    for name, pcm, rate in recordings():
        for shift in (0, 13, 37, 61, 101, 149):
            assert hear(louder(pcm, gain)[2 * shift :], rate) == ("", 0), (name, shift)


def test_speech_spoken_faster_or_higher_is_never_a_tone() -> None:
    # Played at other speeds, a recording has other pitches: each is another voice for this purpose.
    for name, pcm, rate in recordings():
        samples = np.frombuffer(pcm, "<i2").astype(np.float64)
        for speed in np.arange(0.7, 1.6, 0.05):
            moved = np.interp(np.arange(0, len(samples) - 1, speed), np.arange(len(samples)), samples)
            assert hear(s16le(moved), rate)[0] == "", (name, speed)


@RATES
def test_keys_are_recognised_next_to_speech(rate: int) -> None:
    for name, pcm, own_rate in recordings():
        if own_rate == rate:
            whole = pcm + tones("1590*#", rate, on_ms=60, off_ms=60) + pcm + tones("11", rate) + pcm
            assert hear(whole, rate)[0] == "1590*#11", name


def sines(rate: int, *frequencies: float, seconds: float = 2.0, level: float = 4000.0) -> NDArray[np.float64]:
    moments = np.arange(int(rate * seconds)) / rate
    return sum((level * np.sin(2 * np.pi * frequency * moments) for frequency in frequencies), np.zeros(len(moments)))


def note(rate: int, semitones: float, harmonics: int = 8) -> NDArray[np.float64]:
    """A plucked string, `semitones` above A3 (220 Hz)."""
    pitch = 220 * 2 ** (semitones / 12)
    moments = np.arange(int(rate * 0.4)) / rate
    partials = [n for n in range(1, harmonics + 1) if n * pitch < rate / 2.2]
    waves = [2500 / n * np.sin(2 * np.pi * n * pitch * moments + n) * np.exp(-3 * moments) for n in partials]
    return sum(waves, np.zeros(len(moments)))


@RATES
def test_what_else_a_line_carries_is_no_key(rate: int) -> None:
    signals = {name: pcm for name, pcm in not_speech(4, rate).items() if name != "dtmf"}
    signals |= {
        "dial tone": s16le(sines(rate, 350, 440)),
        "European dial tone": s16le(sines(rate, 425)),
        "American busy tone": s16le(sines(rate, 480, 620)),
        "American ring": s16le(sines(rate, 440, 480)),
        "fax calling": s16le(sines(rate, 1100)),
        "fax answering": s16le(sines(rate, 2100)),
        "special information": s16le(np.concatenate([sines(rate, f, seconds=0.33) for f in (950, 1400, 1800)])),
        "one row": s16le(sines(rate, 770)),
        "one column": s16le(sines(rate, 1336)),
        "two rows": s16le(sines(rate, 697, 941)),
        "three tones": s16le(sines(rate, 697, 1209, 1477)),
        "sweep": s16le(6000 * np.sin(2 * np.pi * np.cumsum(np.linspace(200, 3400, 4 * rate)) / rate)),
        "clicks": s16le(30000.0 * (np.arange(4 * rate) % 997 == 0)),
        "loud white noise": s16le(np.random.default_rng(3).normal(0, 8000, 20 * rate)),
        "constant": s16le(np.full(rate, 12000.0)),
    }
    for name, pcm in signals.items():
        assert hear(pcm, rate) == ("", 0), name


@RATES
def test_music_is_no_key(rate: int) -> None:
    for root in range(25):
        for chord in ((0, 4, 7), (0, 3, 7), (0, 5, 9), (0, 4, 7, 10), (0, 12)):
            pcm = s16le(sum((note(rate, root + step) for step in chord), np.zeros(int(rate * 0.4))))
            assert hear(pcm, rate)[0] == "", (root, chord)


@given(st.lists(st.binary(min_size=320, max_size=320), max_size=20))
def test_random_bytes_are_no_key(frames: list[bytes]) -> None:
    assert hear(b"".join(frames), 8000)[0] == ""


@pytest.mark.speech
async def test_the_local_voice_is_never_a_tone() -> None:
    tts = LocalHibari()
    texts = (
        "One two three four five six seven eight nine zero, star, hash.",
        "Ooh, you do need a new blue moon tonight, don't you?",
        "Please hold the line while I look up your appointment for Tuesday afternoon.",
        "Eleven eager eagles are leaving early each evening; we all owe you a yellow one.",
    )
    for rate in (8000, 16000):
        for text in texts:
            pcm = b"".join([part async for part in tts.stream(text, sample_rate=rate, voice="", language="en")])
            for gain in (0.3, 1.0, 4.0):
                for shift in (0, 40, 90):
                    assert hear(louder(pcm, gain)[2 * shift :], rate) == ("", 0), text
    await tts.aclose()


def test_another_rate_is_refused() -> None:
    with pytest.raises(ValueError, match="8000, 16000"):
        ToneDetector(44100)


def test_it_costs_little() -> None:
    # Measured: 2.7 µs a frame of continuous speech. The bound is for a machine that is busy.
    frames = [frame for _, pcm, rate in recordings() if rate == 8000 for frame in frames_of(pcm, rate)]
    rounds = []
    for _ in range(10):
        detector = ToneDetector(8000)
        begun = time.perf_counter()
        for frame in frames:
            detector.receive(frame)
        rounds.append((time.perf_counter() - begun) / len(frames))
    assert min(rounds) < 10e-6
