"""What was seen of one moment on the wire and in the call's transcript; times are ms since the call was answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

SAME_SPEECH_MS = 250
"""Two playbacks no further apart are the same speech: the bot's audio comes in pieces."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One playback as the caller heard it. `cut`: stopped by a `break`."""

    start: float
    end: float
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """`speech_start` and `speech_end` enclose the caller's words (or sounds, when there are none) in this moment.

    `sounds` are the stretches in which the bot was heard, short silences inside words included. `whole_ms` is how much
    sound all has that the bot was saying when the moment began, from `bot_began` on. `finished_it` says that the last
    words of it were heard. `turns` are the caller's turns, and the keys, that the system wrote down since the moment
    began.
    """

    speech_start: float
    speech_end: float
    watched_until: float
    playbacks: tuple[Heard, ...] = ()
    breaks: tuple[float, ...] = ()
    sounds: tuple[tuple[float, float], ...] = ()
    bot_began: float = 0.0
    whole_ms: float = 0.0
    finished_it: bool = False
    turns: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())
    stages: tuple[str, ...] = ()
    late_ms: float = 0.0
    """How far behind its schedule the caller's audio was at worst: the machine was too busy."""

    @property
    def onsets(self) -> tuple[float, ...]:
        """When the bot began to speak, each time."""
        first = [self.playbacks[0].start] if self.playbacks else []
        return (
            *first,
            *(
                after.start
                for before, after in pairwise(self.playbacks)
                if before.cut or after.start - before.end > SAME_SPEECH_MS
            ),
        )

    def sound_between(self, start: float, end: float) -> float:
        """How much the bot was heard, in ms."""
        return sum(max(0.0, min(until, end) - max(begin, start)) for begin, until in self.sounds)

    def longest_hole(self, start: float, end: float) -> float:
        """The longest silence of the bot between two times, in ms."""
        inside = [(max(begin, start), min(until, end)) for begin, until in self.sounds if until > start and begin < end]
        edges = [start, *(edge for stretch in inside for edge in stretch), end]
        return max(after - before for before, after in zip(edges[::2], edges[1::2], strict=True))
