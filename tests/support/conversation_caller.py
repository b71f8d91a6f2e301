"""The caller of a conversation on virtual time: what is said when, and what detector and speech-to-text make of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ai_worker.conversation import events as ev

VAD_START = 0.2
VAD_PAUSE = 0.1
VAD_STOP = 0.2
BARGE_IN = 0.3
FADED = 0.26
"""So long after a voice that was louder than what goes on behind it."""
SECONDS_A_WORD = 0.35


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound from `start` to `end` (s), with `words` spread evenly over it; without words it is noise, which may be
    `behind` the caller: less loud than a voice."""

    start: float
    end: float
    words: tuple[str, ...]
    behind: bool = False


class Caller:
    """Speaks; the voice-activity detector's verdicts are told as they are made."""

    def __init__(
        self,
        *,
        began: float,
        now: Callable[[], float],
        later: Callable[[float, Callable[[], None]], None],
        tell: Callable[[ev.Event], None],
        skew: float,
    ) -> None:
        self._began = began
        self._now = now
        self._later = later
        self._tell = tell
        self._skew = skew
        self._onset: float | None = None
        self._started = False
        self._sustained = False
        self._faded = False
        self.stretches: list[Stretch] = []
        self.silent = False
        """The line is lost: nobody hears the caller."""
        self._lost: list[tuple[float, float]] = []

    def say(self, text: str, *, after: float = 0.0, seconds: float | None = None) -> float:
        """Speak `text` in `after` s; returns the time at which it will have been said."""
        words = tuple(text.split())
        return self._sound(words, after, len(words) * SECONDS_A_WORD if seconds is None else seconds)

    def noise(self, seconds: float, *, after: float = 0.0, behind: bool = False) -> float:
        """Make a sound without words."""
        return self._sound((), after, seconds, behind=behind)

    def press(self, keys: str, *, after: float = 0.0, apart: float = 0.3) -> None:
        for index, key in enumerate(keys):
            self._later(after + index * apart, lambda key=key: self._tell(ev.Pressed(key)))  # type: ignore[misc]

    def beep(self, *, after: float = 0.0) -> None:
        """A pure tone has been heard."""
        self._later(after, lambda: self._tell(ev.Beep()))

    def hang_up(self, *, after: float = 0.0) -> None:
        self._later(after, lambda: self._tell(ev.CallEnded("closed")))

    def words_between(self, start_ms: int, end_ms: int) -> str:
        """What an honest speech-to-text makes of the caller's audio: the words whose middle is in it."""
        found = []
        for stretch in sorted(self.stretches, key=lambda stretch: stretch.start):
            for index, word in enumerate(stretch.words):
                middle = stretch.start + (stretch.end - stretch.start) * (index + 0.5) / len(stretch.words)
                lost = any(begin <= middle < end for begin, end in self._lost)
                if start_ms <= (middle - self._began) * 1000 < end_ms and not lost:
                    found.append(word)
        return " ".join(found)

    def be_lost(self) -> None:
        """The line is lost: what is said from now on reaches nobody."""
        self.silent = True
        self._lost.append((self._now(), math.inf))

    def be_heard_again(self) -> None:
        """The line is back."""
        self.silent = False
        self._lost[-1] = (self._lost[-1][0], self._now())
        self._later(VAD_STOP, self._judge)

    def _sound(self, words: tuple[str, ...], after: float, seconds: float, *, behind: bool = False) -> float:
        start = self._now() + after
        self.stretches.append(Stretch(start, start + seconds, words, behind))
        self._later(after, self._onset_of_sound)
        ends = (after + seconds + VAD_PAUSE, after + seconds + VAD_STOP, after + seconds + FADED)
        for decision in (after + VAD_START, after + BARGE_IN, *ends):
            self._later(decision, self._judge)
        return start + seconds

    def _onset_of_sound(self) -> None:
        if self._onset is None:
            self._onset = self._now()

    def _judge(self) -> None:
        now, onset = self._now() + 1e-6, self._onset
        if onset is None or self.silent:
            return
        last = max(min(stretch.end, now) for stretch in self.stretches if stretch.start <= now)
        if not self._started and last - onset >= VAD_START - 1e-5:
            self._started = True
            self._tell(ev.SpeechStarted(self.ms(onset), round((now - onset) * 1000)))
        if not self._sustained and last - onset >= BARGE_IN - 1e-5:
            self._sustained = True
            self._tell(ev.SpeechSustained())
        if self._started and now - last < VAD_PAUSE:
            self._compare_loudness(now, onset)
        if self._started and VAD_PAUSE <= now - last < VAD_STOP:
            self._tell(ev.SpeechPaused(self.ms(last)))
        if now - last >= VAD_STOP:
            if self._started:
                silence = round((now - last) * 1000)
                self._tell(ev.SpeechStopped(self.ms(last), silence, last + self._skew))
            self._onset, self._started, self._sustained, self._faded = None, False, False, False

    def _compare_loudness(self, now: float, onset: float) -> None:
        """Tell of the end of a voice that something goes on behind, and of its return."""
        near = [min(s.end, now) for s in self.stretches if s.start <= now and s.end > onset and not s.behind]
        if near and not self._faded and now - max(near) >= FADED - 1e-5:
            self._faded = True
            self._tell(ev.SpeechFaded(self.ms(max(near))))
        elif near and self._faded and now - max(near) < VAD_PAUSE:
            self._faded = False
            self._tell(ev.SpeechBack())

    def ms(self, at: float) -> int:
        """The media position of a moment."""
        return round((at - self._began) * 1000)
