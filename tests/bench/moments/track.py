"""A moment's parts as one signal, with the exact place of everything that is said in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from bench.moments.clips import RATE, Signal, clip
from bench.moments.moment import Moment, Pause, Sound, Words
from bench.moments.sounds import sound


@dataclass(frozen=True, slots=True)
class Breath:
    """One `Words` in its place: samples from the track's beginning. `borders` are those of its words."""

    words: Words
    borders: tuple[tuple[int, int], ...]

    @property
    def start(self) -> int:
        return self.borders[0][0]

    @property
    def end(self) -> int:
        return self.borders[-1][1]


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What the caller sends in this moment, and what is said in it. Positions are samples at 8000 Hz."""

    samples: Signal
    breaths: tuple[Breath, ...]

    @property
    def speech_start(self) -> int:
        """The first sample of the first word, or of the sounds when there is no word."""
        return self.breaths[0].start if self.breaths else 0

    @property
    def speech_end(self) -> int:
        """One past the last sample of the last word: the real end of the turn."""
        return self.breaths[-1].end if self.breaths else len(self.samples)


@cache
def compose(moment: Moment) -> Track:
    """The same track every time. It takes a while the first time: not for the middle of a call."""
    pieces: list[Signal] = []
    breaths: list[Breath] = []
    at = 0
    for part in moment.parts:
        match part:
            case Words():
                spoken = clip(part, moment.voice)
                breaths.append(Breath(part, tuple((at + start, at + end) for start, end in spoken.borders)))
                pieces.append(spoken.samples)
            case Pause(seconds):
                pieces.append(np.zeros(round(seconds * RATE), np.float32))
            case Sound(name):
                pieces.append(sound(name))
        at += len(pieces[-1])
    return Track(np.concatenate(pieces), tuple(breaths))
