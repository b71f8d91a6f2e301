"""Finds the keys that a caller presses in the sound of the call: DTMF (ITU-T Q.23), received as Q.24 asks. Sans-I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from callbus.pcm import CALL_RATES, FRAME_MS, frame_bytes

_KEYS = ("123A", "456B", "789C", "*0#D")
_ROWS_HZ = (697, 770, 852, 941)
_COLUMNS_HZ = (1209, 1336, 1477, 1633)
_TONES_HZ = _ROWS_HZ + _COLUMNS_HZ

_HOP_MS = 5
_HOPS = FRAME_MS // _HOP_MS
_WINDOWS = _HOPS + 1
"""20 ms windows that begin in one frame and end in the next, 5 ms apart; the first only to measure the others by."""

_QUIETEST = 10 ** (-42 / 20) * 32768
"""RMS of the quietest tone that is taken, of each of the two. Telephones send more than -30 dBm0."""
_GATE = 0.25
"""Share of a frame's energy near the eight frequencies, below which it is not looked at closely."""
_PURITY, _BEST_PURITY = 0.8, 0.9
"""Share of the energy that the two tones must have: in each window, and in one of a press. Speech has harmonics; tones
15 dB above noise have 0.97, and less in the windows in which they begin or end."""
_TWIST = 10 ** (9 / 10)
"""Most that one tone may be stronger than the other. Q.24: 4 to 8 dB, and a phone line adds to that."""
_DETUNED, _BEST_DETUNED = 0.025, 0.02
"""Most that a tone may be off its frequency: in each window, and in that one. Q.24: 1.5 % is taken, 3.5 % is not."""
_WINDOWS_OF_A_PRESS = 4
"""Windows in a row, 35 ms in all, of which a little may be silence: 40 ms are taken, 25 ms are not (Q.24)."""
_WINDOWS_OF_A_PAUSE = 8
"""Windows without the tone that end a press: 40 ms of pause are enough, a lost packet of 20 ms isn't (Q.24)."""

_FAINT = b"\x00\x01\xfe\xff"
"""High bytes of samples from -512 to 511; the two quietest tones reach 735 together."""

_Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Tone:
    """This frame is a key's tone. `digit` (0-9 * # A-D) is set where the press is recognised: once for each press."""

    digit: str | None


_UNRECOGNISED = Tone(None)
_NO_KEY = ("", False)


@cache
def _waves(sample_rate: int) -> _Floats:
    """The tones' cosines, then their sines, 20 ms long, of energy 1. One for all calls: it stays in the CPU's cache."""
    length = sample_rate * FRAME_MS // 1000
    phases = 2 * np.pi * np.outer(_TONES_HZ, np.arange(length)) / sample_rate
    return (np.concatenate([np.cos(phases), np.sin(phases)]) * math.sqrt(2 / length)).astype(np.float32)


class ToneDetector:
    """Takes the caller's audio frame by frame (20 ms of s16le mono) and says which frames are a key's tone.

    A frame is judged when it comes: of a press, up to 17 ms at the beginning are not known as a tone yet.
    """

    def __init__(self, sample_rate: int) -> None:
        """`sample_rate` is 8000 or 16000 Hz. Raises ValueError for others."""
        if sample_rate not in CALL_RATES:
            raise ValueError(f"sample rate {sample_rate} Hz: expected one of {', '.join(map(str, CALL_RATES))}")
        length = sample_rate * FRAME_MS // 1000
        self._length = length
        self._hop = sample_rate * _HOP_MS // 1000
        self._silence = bytes(frame_bytes(sample_rate))
        self._last = self._silence
        self._waves = _waves(sample_rate)
        self._least_energy = 2 * _QUIETEST**2 * length * _GATE
        self._quietest = _QUIETEST**2 * length
        self._digit = ""
        """Of the latest windows in a row: their key, how many they are, whether one of them is beyond doubt."""
        self._run = 0
        self._sure = False
        self._pressed = ""
        self._missing = 0

    def receive(self, frame: bytes) -> Tone | None:
        """The next 20 ms; None if they are anything but a tone."""
        last, self._last = self._last, frame
        if not self._pressed and not self._suspicious(frame):
            self._digit = ""
            return None
        return self._examine(last + frame)

    def _suspicious(self, frame: bytes) -> bool:
        """Whether it is worth a closer look. This is all that is done for nearly every frame: it must cost little."""
        # The samples' high bytes: two tones of the least strength go beyond 511 in every few milliseconds.
        if not frame[1::2].translate(None, _FAINT):
            return False
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        energy = float(np.dot(samples, samples))
        if energy < self._least_energy:
            return False
        found = np.dot(self._waves, samples)
        return float(np.dot(found, found)) > _GATE * energy

    def _examine(self, two_frames: bytes) -> Tone | None:
        heard = False
        digit = None
        for key, sure in self._windows(np.frombuffer(two_frames, "<i2").astype(np.float32)):
            if key != self._digit:
                self._digit, self._run, self._sure = key, 0, False
            self._run += 1
            self._sure = self._sure or sure
            heard = heard or key != ""
            self._missing = 0 if key and key == self._pressed else self._missing + 1
            if self._pressed and self._missing >= _WINDOWS_OF_A_PAUSE:
                self._pressed = ""
            if key != self._pressed and self._run >= _WINDOWS_OF_A_PRESS and self._sure:
                self._pressed = digit = key
                self._missing = 0
        if digit:
            return Tone(digit)
        return _UNRECOGNISED if heard else None

    def _windows(self, samples: _Floats) -> list[tuple[str, bool]]:
        """For each window that ends in the second of two frames: the key whose tones it is, whether that is sure."""
        hop = self._hop
        energies = (samples * samples).reshape(-1, hop).sum(axis=1).tolist()
        windows = np.lib.stride_tricks.sliding_window_view(samples, self._length)[::hop]
        parts = windows @ self._waves.T
        spectra = parts[:, :8] - 1j * parts[:, 8:]
        powers = (parts[:, :8] ** 2 + parts[:, 8:] ** 2).tolist()
        # How far the phase moved from window to window tells the frequency, far finer than the window's length does.
        turns = (np.angle(spectra[1:] * spectra[:-1].conj() * _EXPECTED_TURNS) / (2 * np.pi)).tolist()
        return [self._key(powers[n], turns[n - 1], energies[n : n + _HOPS]) for n in range(1, _WINDOWS)]

    def _key(self, powers: list[float], turns: list[float], energies: list[float]) -> tuple[str, bool]:
        row = max(range(4), key=powers.__getitem__)
        column = max(range(4, 8), key=powers.__getitem__)
        off = [turns[index] * 1000 / _HOP_MS for index in (row, column)]
        detuned = max(abs(off[0]) / _TONES_HZ[row], abs(off[1]) / _TONES_HZ[column])
        if detuned > _DETUNED:
            return _NO_KEY
        low, high = (
            # What a window of 20 ms loses of a tone that is not quite at its frequency.
            powers[index] / float(np.sinc(off_hz * FRAME_MS / 1000)) ** 2
            for index, off_hz in zip((row, column), off, strict=True)
        )
        weaker, stronger = min(low, high), max(low, high)
        purity = (low + high) / max(sum(energies), 1.0)
        if weaker < self._quietest or stronger > _TWIST * weaker or purity < _PURITY:
            return _NO_KEY
        return _KEYS[row][column - 4], purity >= _BEST_PURITY and detuned <= _BEST_DETUNED


_EXPECTED_TURNS = np.exp(-2j * np.pi * np.array(_TONES_HZ) * _HOP_MS / 1000)
