"""Finds the beep after which an answering machine records: one pure tone, neither a key's nor a dial tone. Sans-I/O."""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from callbus.pcm import FRAME_MS, frame_bytes

LOWEST_HZ, HIGHEST_HZ = 400, 2100
SHORTEST_MS, LONGEST_MS = 260, 1500
"""A ring-back, dial or fax tone goes on for longer."""

_BIN_HZ = 1000 // FRAME_MS
_PURITY = 0.9
"""Share of a frame's energy that stands at one frequency. Speech has harmonics, and a key has two tones."""
_QUIETEST = 10 ** (-38 / 20) * 32768
"""RMS."""
_DRIFT_HZ = 35.0
_FRAMES_OF_SILENCE = 2
"""So many frames without the tone end it: one may be spoiled."""

_Floats: TypeAlias = NDArray[np.float32]


@cache
def _window(length: int) -> _Floats:
    return np.hanning(length + 1)[:length].astype(np.float32)


class BeepDetector:
    """One call's. `sample_rate` is 8000 or 16000 Hz."""

    def __init__(self, sample_rate: int) -> None:
        self._frame = frame_bytes(sample_rate)
        self._hz = 0.0
        self._frames = 0
        self._missing = 0

    def receive(self, pcm: bytes) -> bool:
        """The caller's next audio, s16le mono, whole 20 ms frames; whether a beep has ended in it."""
        ended = [self._take(pcm[at : at + self._frame]) for at in range(0, len(pcm), self._frame)]
        return any(ended)

    def _take(self, frame: bytes) -> bool:
        hz = self._tone(frame)
        if hz and (not self._frames or abs(hz - self._hz) <= _DRIFT_HZ):
            # The first frame holds the onset, too: it is the least exact.
            self._hz = hz if self._frames < 2 else self._hz
            self._frames += 1 + self._missing
            self._missing = 0
            return False
        if not self._frames:
            return False
        self._missing += 1
        if self._missing < _FRAMES_OF_SILENCE and not hz:
            return False
        length_ms = self._frames * FRAME_MS
        self._frames, self._missing, self._hz = (1, 0, hz) if hz else (0, 0, 0.0)
        return SHORTEST_MS <= length_ms <= LONGEST_MS

    def _tone(self, frame: bytes) -> float:
        """The frequency (Hz) of which the frame consists; 0 for anything but a tone."""
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        if len(samples) * 2 < self._frame or float(np.dot(samples, samples)) < _QUIETEST**2 * len(samples):
            return 0.0
        spectrum = np.abs(np.fft.rfft(samples * _window(len(samples)))) ** 2
        peak = int(spectrum.argmax())
        total = float(spectrum.sum())
        if peak < 3 or float(spectrum[peak - 2 : peak + 3].sum()) < _PURITY * total:
            return 0.0
        below, at, above = (float(np.log(value + 1e-9)) for value in spectrum[peak - 1 : peak + 2])
        offset = 0.5 * (below - above) / (below - 2 * at + above) if below - 2 * at + above else 0.0
        hz = (peak + offset) * _BIN_HZ
        return hz if LOWEST_HZ - _BIN_HZ / 2 <= hz <= HIGHEST_HZ + _BIN_HZ / 2 else 0.0
