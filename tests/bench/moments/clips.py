"""The callers' and the bot's speech as a telephone delivers it, with the borders of its words."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.moments.moment import Voice, Words
from ringover_sim.audio import resample_pcm
from ringover_sim.speech import LocalVoice, telephone
from support import recordings

RATE = 8000
Signal = NDArray[np.float32]
"""Mono at 8000 Hz, on the scale of 16-bit samples."""

_VOICES: dict[Voice | str, tuple[float, float, int]] = {
    "low": (0.85, 1.0, 7),
    "deep": (0.79, 1.0, 11),
    "bright": (1.15, 1.1, 5),
    "bot": (1.0, 1.0, 1),
}
"""Pitch, speed and seed of each voice."""
_EDGE = 200
"""Amplitude (of 32767) of a clip's first and last sample at least, -44 dBFS: what lies outside is cut off."""
_FADE = 24
_FRAME = 80
_ACTIVE_SHARE = 0.06
_SILENT_SHARE = 0.02
_LONGEST_CLOSURE = 15


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Speech without any silence at its ends. `borders` are the first and one past the last sample of each word."""

    samples: Signal
    borders: tuple[tuple[int, int], ...]


def clip(words: Words, voice: Voice) -> Clip:
    """What the caller says, and where its words are."""
    return _clip(words.spoken, voice, words.recording)


def bot_clip(sentence: str) -> Clip:
    """The same of the bot, in a voice of its own."""
    return _clip(sentence, "bot", "")


def to_pcm(samples: Signal) -> bytes:
    """As s16le, clipped."""
    return bytes(np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes())


@cache
def _clip(spoken: str, voice: str, recording: str) -> Clip:
    if recording:
        loaded = recordings.load_wideband(recording)
        raw = resample_pcm(loaded.pcm, loaded.sample_rate, RATE)
    else:
        raw = _voice(voice).speak(spoken, RATE)
    samples = _trimmed(np.frombuffer(telephone(raw, RATE), "<i2").astype(np.float32))
    return Clip(samples, _borders(samples, spoken.split()))


@cache
def _voice(name: str) -> LocalVoice:
    pitch, speed, seed = _VOICES[name]
    return LocalVoice(pitch, speed, seed)


def _trimmed(samples: Signal) -> Signal:
    loud = np.flatnonzero(np.abs(samples) > _EDGE)
    kept = samples[loud[0] : loud[-1] + 1].copy()
    ramp = np.linspace(0, 1, _FADE, dtype=np.float32)
    kept[:_FADE] *= ramp
    kept[-_FADE:] *= ramp[::-1]
    return kept


def _borders(samples: Signal, words: list[str]) -> tuple[tuple[int, int], ...]:
    """The clip's time shared out by the words' lengths, silences inside it left out.

    Its two ends are exact, and so are those of a pause, which lies at the nearest comma, or else at the nearest border.
    The others are a good guess: they matter only where audio is cut within a breath.
    """
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.sqrt((frames**2).mean(axis=1))
    sounding = np.cumsum(power > power.max() * _ACTIVE_SHARE)
    shares = np.cumsum([len(word) + 1 for word in words])
    ends = np.searchsorted(sounding, shares / shares[-1] * sounding[-1]) + 1
    edges = [(int(end) * _FRAME,) * 2 for end in ends[:-1]]
    # Where there is punctuation, that is where people pause.
    commas = [n for n, word in enumerate(words[:-1]) if not word[-1].isalnum()]
    for start, end in _pauses(power > power.max() * _SILENT_SHARE):
        if edges:
            nearest = min(commas or range(len(edges)), key=lambda n: abs(sum(edges[n]) - start - end))
            edges[nearest] = (start, end)
    marks = [0, *(mark for edge in sorted(edges) for mark in edge), len(samples)]
    return tuple(zip(marks[::2], marks[1::2], strict=True))


def _pauses(sounds: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The silences that are longer than a plosive's closure, in samples; `sounds` are the other frames."""
    changes = np.flatnonzero(np.diff(sounds.astype(np.int8)))
    return [
        ((int(start) + 1) * _FRAME, (int(end) + 1) * _FRAME)
        for start, end in pairwise(changes)
        if sounds[end + 1] and end - start > _LONGEST_CLOSURE
    ]
