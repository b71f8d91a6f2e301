"""The caller's attention: when the bot was heard to speak, from what the playout rendered; Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOUD = 330
"""Amplitude (of 32767) above which a sample counts as sound: 1 % of full scale, -40 dBFS."""
JOIN_MS = 200
"""Silences shorter than this (ms) lie inside a word or between two words."""


@dataclass(slots=True)
class Sound:
    """A stretch in which something was heard: first and one past the last loud sample."""

    start: int
    end: int


class Ear:
    """Collects the stretches of sound in a signal fed in order."""

    def __init__(self, rate: int) -> None:
        self.sounds: list[Sound] = []
        self.position = 0
        self._join = rate * JOIN_MS // 1000

    def feed(self, pcm: bytes) -> None:
        """The next samples, s16le mono."""
        samples = np.frombuffer(pcm, "<i2").astype(np.int32)
        loud = np.flatnonzero(np.abs(samples) > LOUD)
        if len(loud):
            self._add(self.position + int(loud[0]), self.position + int(loud[-1]) + 1)
        self.position += len(samples)

    def _add(self, start: int, end: int) -> None:
        if self.sounds and start - self.sounds[-1].end < self._join:
            self.sounds[-1].end = end
        else:
            self.sounds.append(Sound(start, end))

    def onset_after(self, sample: int) -> int | None:
        """The first sound at or after `sample`; a sound that was under way counts from `sample`."""
        return next((max(sound.start, sample) for sound in self.sounds if sound.end > sample), None)

    def heard_since(self, sample: int) -> int:
        """How many samples of sound lie after `sample`."""
        return sum(sound.end - max(sound.start, sample) for sound in self.sounds if sound.end > sample)

    def quiet_for(self) -> int:
        """Samples since the last sound, or since the beginning."""
        return self.position - (self.sounds[-1].end if self.sounds else 0)


def utterances(sounds: list[Sound], pause: int) -> list[Sound]:
    """Sounds joined over silences shorter than `pause` samples: what a listener calls one utterance."""
    joined: list[Sound] = []
    for sound in sounds:
        if joined and sound.start - joined[-1].end < pause:
            joined[-1].end = sound.end
        else:
            joined.append(Sound(sound.start, sound.end))
    return joined
