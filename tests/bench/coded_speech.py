"""Speech of which a listener can tell each word: every word is a chord of three tones, as long as its letters.

It survives what a phone line, a change of the sampling rate and a cut at any sample do to it, so what the media server
heard can be read back as text, word by word, with how much of each word was heard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

MS_PER_CHAR = 40
LOWEST_HZ, STEP_HZ, TONES = 400, 120, 24
AMPLITUDE = 5000.0
_CHORDS = list(combinations(range(TONES), 3))
_FRAME_MS, _HOP_MS = 40, 10
_SEAM_MS = 150
"""A word that is interrupted for no longer than this is one word: playbacks have seams."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word on the line: from when (ms), and how much of it."""

    word: str
    at_ms: int
    share: float


class Codebook:
    """Chords by word, given out in the order in which words are first spoken. `words` get theirs beforehand."""

    def __init__(self, words: Iterable[str] = ()) -> None:
        self._chords: dict[str, int] = {}
        self._words: list[str] = []
        for word in words:
            self._number(word)

    def speak(self, text: str, rate: int) -> bytes:
        """s16le mono at `rate` Hz; each character takes 40 ms, what is between words is silent."""
        per_char = rate * MS_PER_CHAR // 1000
        samples = np.zeros(len(text) * per_char)
        for match in re.finditer(r"\w+", text):
            start, end = match.start() * per_char, match.end() * per_char
            time = np.arange(end - start) / rate
            for tone in _CHORDS[self._number(match[0].lower())]:
                samples[start:end] += AMPLITUDE * np.sin(2 * np.pi * (LOWEST_HZ + STEP_HZ * tone) * time)
        return bytes(samples.astype("<i2").tobytes())

    def read(self, pcm: bytes, rate: int) -> list[HeardWord]:
        """The words in a signal, s16le mono at `rate` Hz."""
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        frame, hop = rate * _FRAME_MS // 1000, rate * _HOP_MS // 1000
        if len(samples) < frame:
            return []
        levels = _levels(np.lib.stride_tricks.sliding_window_view(samples, frame)[::hop], rate)
        heard: list[HeardWord] = []
        runs: list[tuple[int, int, int]] = []
        for number, level in enumerate(levels):
            chord = _chord(level)
            if chord is None or chord >= len(self._words):
                continue
            at = number * _HOP_MS
            if runs and runs[-1][0] == chord and at - runs[-1][1] <= _SEAM_MS:
                runs[-1] = (chord, at, runs[-1][2] + _HOP_MS)
            else:
                runs.append((chord, at, _HOP_MS))
        for chord, last, heard_ms in runs:
            word = self._words[chord]
            # A frame counts when all of it is the word: its first and last half frames are missing.
            share = (heard_ms + _FRAME_MS - _HOP_MS) / (len(word) * MS_PER_CHAR)
            heard.append(HeardWord(word, last - heard_ms, round(min(1.0, share), 2)))
        return heard

    def _number(self, word: str) -> int:
        if word not in self._chords:
            self._chords[word] = len(self._words) % len(_CHORDS)
            self._words.append(word)
        return self._chords[word]


def _levels(frames: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """How loud each tone is in each frame."""
    time = np.arange(frames.shape[1]) / rate
    tones = LOWEST_HZ + STEP_HZ * np.arange(TONES)
    window = np.hanning(frames.shape[1])
    waves = (np.exp(-2j * np.pi * np.outer(time, tones)) * window[:, None]).astype(np.complex64)
    levels: NDArray[np.float32] = np.abs(frames @ waves) * (2 / window.sum())
    return levels


_NUMBERS = {chord: number for number, chord in enumerate(_CHORDS)}


def _chord(level: NDArray[Any]) -> int | None:
    loudest = np.argsort(level)[-4:]
    if level[loudest[1]] < 0.6 * AMPLITUDE or level[loudest[0]] > 0.3 * AMPLITUDE:
        return None
    first, second, third = sorted(int(tone) for tone in loudest[1:])
    return _NUMBERS[first, second, third]
