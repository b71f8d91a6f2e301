"""Where the time of one answer goes: the moments of a turn, in ms after the end of the caller's speech."""

from __future__ import annotations

from collections.abc import Mapping

from ai_worker.conversation.utterance import Utterance
from callbus import transcript


class Stages:
    """The moments of the turn that is being answered, by the worker's clock; each counts the first time only."""

    def __init__(self) -> None:
        self._speech_end = 0.0
        self._ended_at = 0.0
        self._turn_ended = False
        self._marks: dict[str, float] = {}

    def understood(self, utterance: Utterance, now: float) -> None:
        """The words of an utterance are there; a later pause of the same turn begins anew."""
        self._speech_end = utterance.stopped_at
        self._ended_at = utterance.ended_at
        self._turn_ended = False
        self._marks = {"stt_final": self._since_speech(now)}

    def turn_over(self, now: float) -> None:
        self._turn_ended = bool(self._marks)
        self.mark("turn_end", now)

    def mark(self, stage: str, now: float) -> None:
        # Before the turn is over, what is written and spoken still answers the one before it.
        if self._turn_ended and stage not in self._marks:
            self._marks[stage] = self._since_speech(now)

    def adopt(self, marks: Mapping[str, float]) -> None:
        """Moments of the answer that came before the turn was over, by the worker's clock."""
        for stage, at in marks.items():
            # A guess can be older than a last short sound that added no word.
            self.mark(stage, max(at, self._speech_end))

    def heard(self, turn: int, at: float, now: float) -> transcript.TurnTimed | None:
        """The bot's first audio is heard: the turn's times, once. `at` is by the streamer's clock."""
        if not turn or not self._turn_ended:
            return None
        self.mark("playing", now)
        # In the order of time: with a guess, the model was asked before the turn was over.
        stages = dict(sorted(self._marks.items(), key=lambda mark: mark[1]))
        timed = transcript.TurnTimed(now, turn, stages, round((at - self._ended_at) * 1000, 1))
        self._turn_ended = False
        return timed

    def _since_speech(self, now: float) -> float:
        return round((now - self._speech_end) * 1000, 1)
