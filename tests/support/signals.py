"""What a phone line carries that is not speech, as s16le mono after G.711 µ-law."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from support.recordings import mulaw_roundtrip, to_pcm


def silence(seconds: float, sample_rate: int) -> bytes:
    return bytes(2 * int(seconds * sample_rate))


def noise(seconds: float, sample_rate: int, *, dbfs: float, pink: bool = False, seed: int = 1) -> bytes:
    """White noise, or pink (as much power in each octave), at `dbfs` RMS."""
    samples = np.random.default_rng(seed).normal(0, 1, int(seconds * sample_rate))
    if pink:
        frequencies = np.maximum(np.fft.rfftfreq(len(samples)), 1 / len(samples))
        samples = np.fft.irfft(np.fft.rfft(samples) / np.sqrt(frequencies), len(samples))
        samples /= samples.std()
    return _line(samples * 10 ** (dbfs / 20))


def hum(seconds: float, sample_rate: int) -> bytes:
    """Mains: 50 Hz and its third harmonic."""
    t = _time(seconds, sample_rate)
    return _line(0.1 * (np.sin(2 * np.pi * 50 * t) + 0.3 * np.sin(2 * np.pi * 150 * t)))


def dtmf(seconds: float, sample_rate: int) -> bytes:
    """The key 5, 150 ms on and 100 ms off, over and over."""
    t = _time(seconds, sample_rate)
    return _line(0.2 * (np.sin(2 * np.pi * 770 * t) + np.sin(2 * np.pi * 1336 * t)) * (t % 0.25 < 0.15))


def ring_tone(seconds: float, sample_rate: int) -> bytes:
    """The European ringing tone: 440 Hz, 1.5 s on and 3.5 s off."""
    t = _time(seconds, sample_rate)
    return _line(0.2 * np.sin(2 * np.pi * 440 * t) * (t % 5 < 1.5))


def mixed(speech: bytes, other: bytes) -> bytes:
    """Both at once; as long as `speech`."""
    a = np.frombuffer(speech, "<i2").astype(np.float32) / 32768
    b = np.frombuffer(other, "<i2").astype(np.float32) / 32768
    return to_pcm((a + b[: len(a)]).astype(np.float32))


def not_speech(seconds: float, sample_rate: int) -> dict[str, bytes]:
    """All of them by name, at levels that a call has."""
    return {
        "silence": silence(seconds, sample_rate),
        "hum": hum(seconds, sample_rate),
        "dtmf": dtmf(seconds, sample_rate),
        "ring tone": ring_tone(seconds, sample_rate),
        "faint white noise": noise(seconds, sample_rate, dbfs=-60),
        "white noise": noise(seconds, sample_rate, dbfs=-35),
        "pink noise": noise(seconds, sample_rate, dbfs=-35, pink=True),
        "loud pink noise": noise(seconds, sample_rate, dbfs=-25, pink=True),
    }


def _time(seconds: float, sample_rate: int) -> NDArray[np.float64]:
    return np.arange(int(seconds * sample_rate)) / sample_rate


def _line(samples: NDArray[np.float64]) -> bytes:
    return to_pcm(mulaw_roundtrip(samples.astype(np.float32)))
