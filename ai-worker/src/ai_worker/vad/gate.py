"""Turns speech probabilities into "speech started" and "speech stopped". Sans-I/O: the time is the media time given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ai_worker.vad.silero import WINDOW_MS

_HYSTERESIS = 0.15
_LONGEST_DIP_MS = 96  # a plosive's closure, or a window that the line's noise spoiled
_LATEST_END_MS = 96  # by which the model may take what follows a sound for a part of it
# Whoever spoke just now goes on with as little as a short last word, which would not be enough to begin with.
_GOES_ON_MS = 96
_JUST_NOW_MS = 2500
_FEWEST_WINDOWS = 2  # that are surely speech, however long the sound before them was


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller speaks since `at_ms` (media time of the onset, not of the decision)."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The caller has been silent since `at_ms` for a moment; it is not sure yet that this is more than a plosive."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller is silent since `at_ms` (media time of the end of the last speech, not of the decision)."""

    at_ms: int


SpeechVerdict = SpeechStarted | SpeechPaused | SpeechStopped


class SpeechGate:
    """One call's gate. Durations are in ms and count in whole windows of 32 ms, the nearest number of them.

    The model is sure of a soft beginning only some windows late, and of an end too: `find_onset` says where the sound
    began of which the window at the given media position is the first that is surely speech, `find_end` where the sound
    ended that was surely speech up to a position. Speech starts after `start_ms` since then, two windows at or above
    `threshold` among them, or half of that soon after a stop (once begun, `threshold - 0.15` keeps it going and dips of
    up to 96 ms are bridged, uncounted), pauses after `pause_ms` below `threshold - 0.15`, and stops after `stop_ms`.
    """

    def __init__(
        self,
        *,
        threshold: float = 0.6,
        start_ms: int = 200,
        pause_ms: int = 96,
        stop_ms: int = 200,
        find_onset: Callable[[int], int] = lambda at_ms: at_ms,
        find_end: Callable[[int], int] = lambda at_ms: at_ms,
    ) -> None:
        self._enter = threshold
        self._stay = threshold - _HYSTERESIS
        self._find_onset = find_onset
        self._find_end = find_end
        self._end_found = False
        self._start_ms = _whole_windows(start_ms)
        self._fewest_ms = min(self._start_ms, _FEWEST_WINDOWS * WINDOW_MS)
        self._pause_ms = _whole_windows(pause_ms)
        # At the window's end that is nearest, since the end of speech is known more finely than by windows.
        self._stop_ms = max(WINDOW_MS, stop_ms - WINDOW_MS // 2)
        self._exact_stop_ms = stop_ms
        self._paused = False
        self._speaking = False
        self._hears_speech = False
        self._onset_ms: int | None = None
        self._stopped_ms: int | None = None
        self._last_speech_ms = 0
        self._speech_ms = 0
        self._before_ms = 0

    @property
    def speaking(self) -> bool:
        """Between SpeechStarted and SpeechStopped."""
        return self._speaking

    @property
    def stops_at_ms(self) -> int | None:
        """Where speech will have stopped if it stays as silent as it is; None while there is any, or none at all."""
        return self._last_speech_ms + self._exact_stop_ms if self._speaking and self._end_found else None

    @property
    def hears_speech(self) -> bool:
        """Whether the latest window is speech by itself, whatever came before it."""
        return self._hears_speech

    @property
    def speech_ms(self) -> int:
        """How much speech there has been since the onset, dips not counted; also before it counts as started.

        0 when there is none.
        """
        return self._speech_ms + self._before_ms

    def push(self, at_ms: int, probability: float) -> list[SpeechVerdict]:
        """The next window, which began at `at_ms`. Windows come in order; audio may be missing between them."""
        verdicts: list[SpeechVerdict] = []
        # Only lost audio makes it over before the window is looked at.
        if self._onset_ms is not None and self._is_over(at_ms):
            verdicts += self._close()
        end_ms = at_ms + WINDOW_MS
        self._hears_speech = probability >= (self._enter if self._onset_ms is None else self._stay)
        if self._hears_speech:
            if self._onset_ms is None:
                # Not into what has been told of already.
                self._onset_ms = max(self._last_speech_ms, min(at_ms, self._find_onset(at_ms)))
                self._before_ms = at_ms - self._onset_ms
            self._last_speech_ms = end_ms
            self._paused = self._end_found = False
            self._speech_ms += WINDOW_MS
            enough = self._start_ms
            if self._stopped_ms is not None and self._onset_ms - self._stopped_ms <= _JUST_NOW_MS:
                enough = min(enough, _GOES_ON_MS)
            if not self._speaking and self.speech_ms >= enough and self._speech_ms >= self._fewest_ms:
                self._speaking = True
                verdicts.append(SpeechStarted(self._onset_ms))
            return verdicts
        if self._speaking and not self._end_found:
            self._end_found = True
            earliest = max(self._last_speech_ms - _LATEST_END_MS, self._onset_ms or 0)
            self._last_speech_ms = min(self._last_speech_ms, max(earliest, self._find_end(self._last_speech_ms)))
        if self._onset_ms is not None and self._is_over(end_ms):
            verdicts += self._close()
        elif self._speaking and not self._paused and end_ms - self._last_speech_ms >= self._pause_ms:
            self._paused = True
            verdicts.append(SpeechPaused(self._last_speech_ms))
        return verdicts

    def stop(self) -> list[SpeechVerdict]:
        """`stops_at_ms` has come, and silence with it, before the window that it is in has ended."""
        return self._close()

    def _is_over(self, now_ms: int) -> bool:
        silence_ms = now_ms - self._last_speech_ms
        return silence_ms >= self._stop_ms if self._speaking else silence_ms > _LONGEST_DIP_MS

    def _close(self) -> list[SpeechVerdict]:
        stopped: list[SpeechVerdict] = [SpeechStopped(self._last_speech_ms)] if self._speaking else []
        if self._speaking:
            self._stopped_ms = self._last_speech_ms
        self._speaking = False
        self._onset_ms = None
        self._speech_ms = self._before_ms = 0
        return stopped


def _whole_windows(duration_ms: int) -> int:
    return max(1, round(duration_ms / WINDOW_MS)) * WINDOW_MS
