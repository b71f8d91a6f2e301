"""The caller's voice: lines on the clock, keys as tones, and speech as a telephone delivers it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringover_sim.audio import Floats, to_floats, to_pcm
from ringover_sim.dtmf import KEYS, PAUSE_MS, TONE_MS, tones
from ringover_sim.ear import Ear, Sound, utterances
from ringover_sim.errors import AudioError, ScriptError
from ringover_sim.mouth import Mouth
from ringover_sim.speech import SPOKEN_RMS, LocalVoice, noise_rms, prepare, telephone
from support.sim_bot import beep


@given(st.lists(st.integers(1, 700), max_size=6), st.integers(1, 200))
def test_lines_are_spoken_one_after_another_without_loss(lengths: list[int], chunk: int) -> None:
    mouth = Mouth(8000, 0.0, phone=False)
    lines = [mouth.say(np.full(n, level, "<i2").tobytes()) for level, n in enumerate(lengths, start=1)]
    while mouth.position < sum(lengths):
        mouth.next_chunk(chunk)
    sent = np.frombuffer(bytes(mouth.sent), "<i2").tolist()
    assert [s for s in sent if s] == [level for level, n in enumerate(lengths, 1) for _ in range(n)]
    position = 0
    for line, length in zip(lines, lengths, strict=True):
        assert (line.start, line.end) == (position, position + length)
        position += length


def test_speech_ends_with_the_last_loud_sample() -> None:
    mouth = Mouth(8000)
    line = mouth.say(np.array([0, 5000, 0, -5000, 0, 0, 0, 0], "<i2").tobytes())
    assert line.speech_end is None
    mouth.next_chunk(160)
    assert line.speech_end == 4


def test_a_quiet_line_is_never_digital_silence() -> None:
    chunk = np.frombuffer(Mouth(8000).next_chunk(160), "<i2")
    assert 0 < np.abs(chunk).max() < 50


def test_noise_is_as_far_below_speech_as_asked() -> None:
    mouth = Mouth(8000, noise_rms(10.0), phone=False)
    noise = np.frombuffer(mouth.next_chunk(40_000), "<i2").astype(float)
    assert 20 * np.log10(SPOKEN_RMS / np.sqrt((noise**2).mean())) == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_keys_are_heard_as_their_two_tones(rate: int) -> None:
    pcm = tones(KEYS, rate)
    step = rate * (TONE_MS + PAUSE_MS) // 1000
    found = ""
    for index in range(len(KEYS)):
        tone = to_floats(pcm)[index * step : index * step + rate * TONE_MS // 1000]
        strength = np.abs(np.fft.rfft(tone, rate))
        row = max((697, 770, 852, 941), key=lambda f: strength[f])
        column = max((1209, 1336, 1477, 1633), key=lambda f: strength[f])
        found += KEYS[(697, 770, 852, 941).index(row) * 4 + (1209, 1336, 1477, 1633).index(column)]
    assert found == KEYS


def test_a_key_no_telephone_has() -> None:
    with pytest.raises(ScriptError, match="'x' is no key"):
        tones("1x", 8000)


def spectrum(samples: Floats, rate: int) -> Floats:
    """Power by Hz."""
    return (np.abs(np.fft.rfft(samples, rate)) ** 2).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_telephone_passes_speech_and_nothing_outside_its_band(rate: int) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, rate).astype(np.float32)
    power = spectrum(to_floats(telephone(to_pcm(noise), rate)), rate)
    inside = power[500:3200].mean()
    assert power[:150].mean() < inside / 100
    assert power[3700:].mean() < inside / 100


def test_sounds_are_joined_over_the_silence_within_a_word() -> None:
    ear = Ear(8000)
    for block in (beep(0.1, 8000), bytes(1600), beep(0.1, 8000), bytes(2 * 4000), beep(0.1, 8000), bytes(160)):
        ear.feed(block)
    assert [s.start for s in ear.sounds] == [0, 6400]
    assert [s.end for s in ear.sounds] == pytest.approx([2400, 7200], abs=3)
    assert ear.onset_after(1000) == 1000
    assert ear.onset_after(3000) == 6400
    assert ear.heard_since(7000) == pytest.approx(200, abs=3)
    assert ear.quiet_for() == pytest.approx(80, abs=3)
    assert len(utterances(ear.sounds, 5600)) == 1
    assert utterances([Sound(0, 10), Sound(20, 30), Sound(50, 60)], 15) == [Sound(0, 30), Sound(50, 60)]


async def test_a_file_that_is_no_audio_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_text("not audio")
    for name, problem in (("x.wav", "no readable audio"), ("y.wav", "No such file")):
        with pytest.raises(AudioError, match=rf"{name}: {problem}"):
            await prepare(set(), {tmp_path / name}, 8000, LocalVoice(), phone=True)


@pytest.mark.speech
async def test_the_local_voice_is_lower_than_the_bots_at_the_same_tempo() -> None:
    text = "What are your opening hours on Saturday?"
    high, low = LocalVoice(pitch=1.0), LocalVoice(pitch=0.85)
    spoken = {voice: (await prepare({text}, set(), 8000, voice, phone=False))[text] for voice in (high, low)}
    assert len(spoken[low]) == pytest.approx(len(spoken[high]), rel=0.15)
    assert pitch(spoken[low]) / pitch(spoken[high]) == pytest.approx(0.85, abs=0.06)


def pitch(pcm: bytes) -> float:
    """Median fundamental (Hz) of the voiced 50 ms frames of s16le at 8000 Hz, by autocorrelation."""
    samples, found = to_floats(pcm), []
    for start in range(0, len(samples) - 400, 160):
        frame = samples[start : start + 400]
        if np.sqrt((frame**2).mean()) < 0.02:
            continue
        # Fewer products at longer lags: without the division short lags win.
        correlation = np.correlate(frame, frame, "full")[399:] / np.arange(400, 0, -1)
        lag = int(np.argmax(correlation[20:125])) + 20
        if correlation[lag] > 0.6 * correlation[0]:
            before, top, after = correlation[lag - 1 : lag + 2]
            found.append(8000 / (lag + 0.5 * (before - after) / (before - 2 * top + after)))
    return float(np.median(found))
