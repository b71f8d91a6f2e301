"""The caller's lines as audio, prepared before the call: spoken by the local TTS, or read from a file."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ringover_sim.audio import Floats, decode_file, resample, to_floats, to_pcm
from ringover_sim.errors import AudioError

PHONE_RATE = 8000
_BAND = (300.0, 3400.0)
"""What a telephone line passes, in Hz (ITU-T G.712)."""
_TAPS = 129
SPOKEN_RMS = 2600.0
"""RMS amplitude (of 32767) of a prepared line's loud parts, about -22 dBFS: a caller at a normal level."""


class Voice(Protocol):
    """Turns a line of text into speech."""

    def speak(self, text: str, rate: int) -> bytes:
        """s16le mono at `rate` Hz. Called outside the event loop's thread. Raises AudioError."""
        ...


class LocalVoice:
    """The local TTS, lowered in pitch and formants by `pitch` at the same tempo, so that it is not the bot's voice."""

    def __init__(self, pitch: float = 0.85, speed: float = 1.0, seed: int = 7) -> None:
        self._pitch, self._speed, self._seed = pitch, speed, seed
        self._model: Any = None
        self._lock = threading.Lock()

    def speak(self, text: str, rate: int) -> bytes:
        """See Voice. Synthesised faster by 1 / pitch and then stretched by as much: tempo stays, the voice sinks."""
        with self._lock:
            if self._model is None:
                from hibari import Hibari

                self._model = Hibari(threads=1)
            spoken = self._model(text, speed=self._speed / self._pitch, seed=self._seed)
        if not len(spoken):
            raise AudioError(f"the local TTS made no speech of {text!r}")
        return to_pcm(resample(np.asarray(spoken, np.float32), self._model.sample_rate * self._pitch, rate))


def telephone(pcm: bytes, rate: int) -> bytes:
    """Limit s16le mono to what a telephone line passes, at a caller's usual level; companding is the mouth's part."""
    narrow = np.convolve(resample(to_floats(pcm), rate, PHONE_RATE), _band_pass(), mode="same").astype(np.float32)
    return to_pcm(_levelled(resample(narrow, PHONE_RATE, rate)))


def _band_pass() -> Floats:
    """A windowed-sinc band-pass at 8 kHz: short enough for a line, steep enough for a telephone."""
    time = np.arange(_TAPS) - _TAPS // 2
    low, high = (2 * edge / PHONE_RATE for edge in _BAND)
    taps = (high * np.sinc(high * time) - low * np.sinc(low * time)) * np.hamming(_TAPS)
    return np.asarray(taps, np.float32)


def _levelled(samples: Floats) -> Floats:
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    power = np.sqrt((frames**2).mean(axis=1)) if len(frames) else np.zeros(1, np.float32)
    loud = power[power > power.max() * 0.1]
    if not len(loud) or not loud.mean():
        return samples
    gain = SPOKEN_RMS / 32768 / float(loud.mean())
    return (samples * np.float32(min(gain, 0.95 / float(np.abs(samples).max())))).astype(np.float32)


def noise_rms(snr_db: float) -> float:
    """RMS amplitude (of 32767) of the line noise that leaves a prepared line this signal-to-noise ratio."""
    return float(SPOKEN_RMS * 10 ** (-snr_db / 20))


async def prepare(
    texts: set[str], files: set[Path], rate: int, voice: Voice, *, phone: bool
) -> dict[str | Path, bytes]:
    """Every line of a call as s16le mono at `rate` Hz, by its text or path.

    Made before the call, off the event loop, so that the call's timing is the line's own. Raises AudioError.
    """

    def make() -> dict[str | Path, bytes]:
        lines: dict[str | Path, bytes] = {text: voice.speak(text, rate) for text in sorted(texts)}
        for path in sorted(files):
            lines[path] = _read(path, rate)
        return {key: telephone(pcm, rate) if phone else pcm for key, pcm in lines.items()}

    return await asyncio.to_thread(make)


def _read(path: Path, rate: int) -> bytes:
    try:
        return decode_file(path.read_bytes(), rate)
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror or error}") from error
    except AudioError as error:
        raise AudioError(f"{path}: {error}") from error
