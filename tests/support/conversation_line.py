"""The line of a conversation on virtual time: the streamer's real playout clock, and what the caller truly hears."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ai_worker.conversation import events as ev
from streamer.playout import Piece, PlayoutClock

RATE = 500
"""Hz. A sample doesn't sound here: it is the number of the letter that is being spoken."""
MS_PER_CHAR = 62
SAMPLES_PER_CHAR = MS_PER_CHAR * RATE // 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """A word that was heard whole; `at` is when it ended."""

    at: float
    segment: str
    word: str


@dataclass(slots=True)
class _Sound:
    start: float
    letters: array[int]

    @property
    def end(self) -> float:
        return self.start + len(self.letters) / RATE


@dataclass(slots=True)
class Speech:
    """Everything that was ever synthesised, letter by letter: audio whose words can be told from its samples."""

    segments: list[tuple[str, str, int]] = field(default_factory=list)
    """(segment, text, number of its first letter)"""
    letters: int = 0

    def synthesise(self, segment: str, text: str) -> bytes:
        """The audio of a text: s16le mono at `RATE`."""
        first, self.letters = self.letters, self.letters + len(text)
        assert self.letters < 1 << 16, "more speech than letters can be numbered"
        self.segments.append((segment, text, first))
        return array("H", (number for number in range(first, self.letters) for _ in range(SAMPLES_PER_CHAR))).tobytes()


class Wire:
    """What reaches the caller's ear, and when."""

    def __init__(self, speech: Speech) -> None:
        self._speech = speech
        self._sounds: list[_Sound] = []

    def play(self, piece: Piece) -> None:
        """The media server plays a piece after the ones before it."""
        letters = array("H")
        letters.frombytes(piece.pcm)
        self._sounds.append(_Sound(piece.start, letters))

    def silence(self, now: float) -> None:
        """`break`: nothing of what was sent is heard any more."""
        for sound in self._sounds:
            if sound.end > now:
                # A sample that is cut is not heard: whole words only are.
                del sound.letters[max(0, int((now - sound.start) * RATE + 1e-6)) :]

    def sounding(self) -> list[tuple[float, float]]:
        """When something was heard: (from, to)."""
        return [(sound.start, sound.end) for sound in self._sounds if sound.letters]

    def heard(self, until: float, *, surely: bool = False) -> list[Heard]:
        """The words that were heard whole until then, in order. `surely`: with a bit of what follows each."""
        samples = np.zeros(self._speech.letters + 1, dtype=np.int64)
        ended = np.zeros(self._speech.letters + 1)
        for sound in self._sounds:
            letters = np.frombuffer(sound.letters, dtype=np.uint16)[: max(0, round((until - sound.start) * RATE))]
            samples += np.bincount(letters, minlength=len(samples))
            ended[letters] = sound.start + np.arange(1, len(letters) + 1) / RATE
        words: list[Heard] = []
        for segment, text, first in self._speech.segments:
            begin = first
            for word in text.split(" "):
                end = begin + len(word)
                whole = bool((samples[begin:end] == SAMPLES_PER_CHAR).all())
                if whole and (not surely or end == first + len(text) or samples[end] > 2):
                    words.append(Heard(float(ended[end - 1]), segment, word))
                begin = end + 1
        return sorted(words, key=lambda heard: heard.at)


class Streamer:
    """Plays what the worker sends, does what it asks, tells what became of it. `tell` appends to the call's in stream.

    With `dead` it is gone without a word; `away` is a connection that broke, which the streamer tells.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
        tell: Callable[[ev.Event], None],
        skew: float,
    ) -> None:
        self._wire = wire
        self._now = now
        self._later = later
        self._tell = tell
        self._skew = skew
        self._clock = PlayoutClock(RATE)
        self._wakes = 0
        self._known: set[str] = set()
        self._postponed: list[tuple[str, str, str]] = []
        self.away = False
        self.dead = False
        self.refuses: frozenset[str] = frozenset()
        """The kinds of actions that can't be carried out."""
        self.done: list[tuple[float, str, str, str]] = []
        """What was done on the line: (when, action id, kind, argument)."""
        self.asked: list[tuple[float, str, str]] = []
        """(when, action id, kind), repetitions too."""
        self.broken: list[float] = []
        """When the worker asked for silence."""

    def speak(self, segment: str, pcm: bytes, last: bool) -> None:
        if self.dead:
            return
        if self._clock.speak(self._now(), segment, pcm, last) and self.away:
            self._clock.break_(self._now())
        self._poll()

    def break_(self) -> None:
        if not self.dead:
            self.broken.append(self._now())
            self._silence()

    def take_over(self) -> None:
        if not self.dead:
            self._clock.take_over(self._now())
            self._poll()

    def act(self, action_id: str, kind: str, argument: str) -> None:
        if self.dead:
            return
        self.asked.append((self._now(), action_id, kind))
        if self.away:
            self._postponed.append((action_id, kind, argument))
            return
        if kind in self.refuses:
            self._tell(ev.ActionRefused(action_id, "it can't be done"))
            return
        if action_id not in self._known:
            self._known.add(action_id)
            self.done.append((self._now(), action_id, kind, argument))
            if kind == "hangup":
                self._silence()
                self._later(0.05, lambda: self._tell(ev.CallEnded("hangup")))
            elif kind == "transfer":
                self._later(1.0, lambda: self._tell(ev.CallEnded("closed")))
        self._tell(ev.ActionDone(action_id))

    def lose(self) -> None:
        """The connection broke."""
        self.away = True
        self._silence()

    def die(self) -> None:
        """The process is gone, and with it what it knew of the speech."""
        self.dead = True
        self._wire.silence(self._now())
        self._clock = PlayoutClock(RATE)
        self._wakes += 1

    def come_back(self) -> None:
        self.away = self.dead = False
        self._tell(ev.MediaReturned())
        postponed, self._postponed = self._postponed, []
        for action in postponed:
            self.act(*action)

    @property
    def playing(self) -> bool:
        return self._clock.next_wake() is not None

    def _silence(self) -> None:
        self._clock.break_(self._now())
        self._wire.silence(self._now())
        self._poll()

    def _poll(self) -> None:
        outputs, events = self._clock.poll(self._now())
        for output in outputs:
            assert isinstance(output, Piece)
            self._wire.play(output)
        for event in events:
            at = event.at + self._skew
            self._tell(ev.Played(event.state, event.segment, event.heard_ms, event.total_ms, at))
        self._wakes += 1
        wake, number = self._clock.next_wake(), self._wakes
        if wake is not None:
            self._later(max(0.0, wake - self._now()), lambda: self._poll() if number == self._wakes else None)
