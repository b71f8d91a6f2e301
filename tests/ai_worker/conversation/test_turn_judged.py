"""The sound of an ending only settles what the words leave open, and never decides alone."""

from __future__ import annotations

import pytest

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.machine import Conversation
from ai_worker.conversation.persona import Persona, TurnTaking

NOW = 1000.0
OPTIONS = TurnTaking(guesses=0)
COMPLETE, UNCLEAR = OPTIONS.endpointing.complete, OPTIONS.endpointing.unclear


class Call:
    """A caller speaks until NOW; the pause is noticed 0.2 s later."""

    def __init__(self) -> None:
        self.conversation = Conversation(Persona(""), OPTIONS)
        self.conversation.handle(ev.Begin(), NOW - 3)
        self.speaks(NOW - 1)
        self.stops(NOW)

    def speaks(self, at: float) -> None:
        self.conversation.handle(ev.SpeechStarted(self.ms(at), 200), at + 0.2)

    def stops(self, at: float) -> None:
        self.conversation.handle(ev.SpeechStopped(self.ms(at), 200, at), at + 0.2)

    def ms(self, at: float) -> int:
        return round((at - NOW + 3) * 1000)

    def answered_at(self) -> float:
        """When the model is asked: the turn is over."""
        for step in range(300):
            now = NOW + 0.25 + step / 100
            if any(isinstance(action, act.Think) for action in self.conversation.handle(ev.Tick(), now)):
                return round(now - NOW, 2)
        raise AssertionError("never answered")


@pytest.mark.parametrize(
    ("words", "finished", "seconds"),
    [
        ("I need a laptop", None, UNCLEAR),
        ("I need a laptop", 0.95, COMPLETE),
        ("I need a laptop", 0.4, UNCLEAR),
        ("I need a laptop.", 0.05, COMPLETE),
        ("I need a laptop and", 0.99, OPTIONS.endpointing.incomplete),
        ("My number is 1 2 3", 0.99, OPTIONS.endpointing.dictating),
    ],
)
@pytest.mark.parametrize("first", ["sound", "words"])
def test_it_shortens_only_the_wait_after_unclear_words(
    words: str, finished: float | None, seconds: float, first: str
) -> None:
    call = Call()
    events: list[ev.Event] = [ev.Transcribed(1, 0, words)]
    if finished is not None:
        events.insert(0 if first == "sound" else 1, ev.TurnJudged(1, 0, finished))
    for event in events:
        call.conversation.handle(event, NOW + 0.21)
    assert call.answered_at() == pytest.approx(seconds, abs=0.011)


def test_without_words_it_decides_nothing() -> None:
    call = Call()
    call.conversation.handle(ev.TurnJudged(1, 0, 1.0), NOW + 0.21)
    with pytest.raises(AssertionError, match="never"):
        call.answered_at()


def test_who_goes_on_is_judged_anew() -> None:
    call = Call()
    call.conversation.handle(ev.TurnJudged(1, 0, 0.99), NOW + 0.21)
    call.speaks(NOW + 0.3)
    call.conversation.handle(ev.TurnJudged(1, 1, 0.99), NOW + 0.5)
    call.stops(NOW + 0.8)
    call.conversation.handle(ev.TurnJudged(1, 0, 0.99), NOW + 1.01)
    call.conversation.handle(ev.Transcribed(1, 1, "I need a laptop"), NOW + 1.02)
    assert call.answered_at() == pytest.approx(0.8 + UNCLEAR, abs=0.011)
