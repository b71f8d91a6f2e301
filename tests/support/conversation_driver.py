"""Everybody around a conversation, played by hand: for tests that say what happens when, to the event."""

from __future__ import annotations

from typing import TypeVar

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.history import History
from ai_worker.conversation.machine import Conversation
from ai_worker.conversation.persona import Persona
from ai_worker.providers.base import ToolCall, ToolSpec
from callbus import transcript

A = TypeVar("A", bound=act.Action)

LOOKUP = ToolSpec("lookup", "Look an order up.", {"type": "object", "properties": {}})
PERSONA = Persona(
    greeting="Hello, how can I help you?",
    instructions="Be brief.",
    tools=(LOOKUP,),
    fillers={"lookup": "Let me look that up."},
    fallback_number="33100000000",
)
CALL = ToolCall("call_1", "lookup", '{"order": "7"}')


class Driver:
    """Plays everybody around the conversation, by hand; what is said is heard at once, unless `deaf`."""

    def __init__(self, history: History | None = None, prefix: str = "1", persona: Persona = PERSONA) -> None:
        self.conversation = Conversation(persona, history=history, prefix=prefix)
        self.now = 1000.0
        self.actions: list[act.Action] = []
        self.deaf = False

    def tell(self, event: ev.Event) -> list[act.Action]:
        actions = self.conversation.handle(event, self.now)
        self.actions += actions
        for action in actions:
            if isinstance(action, act.Say) and not self.deaf:
                self.hear(action)
        return actions

    def hear(self, said: act.Say) -> None:
        for state in ("started", "finished", "idle"):
            self.tell(ev.Played(state, said.segment, 1000, 1000, self.now))

    def later(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        until = self.now + seconds
        while (wake := self.conversation.next_wake) is not None and wake <= until:
            self.now = max(self.now, wake)
            self.tell(ev.Tick())
        self.now = until

    def caller_says(self, words: str) -> None:
        self.tell(ev.SpeechStarted(1000, 200))
        self.tell(ev.SpeechSustained())
        self.tell(ev.SpeechStopped(2000, 200, self.now))
        [request] = [action for action in self.actions if isinstance(action, act.Transcribe)][-1:]
        self.tell(ev.Transcribed(request.utterance, request.revision, words))
        self.later(3.0)

    def of(self, kind: type[A]) -> list[A]:
        return [action for action in self.actions if isinstance(action, kind)]

    @property
    def thought(self) -> act.Think:
        return self.of(act.Think)[-1]

    @property
    def entries(self) -> list[transcript.Entry]:
        return [action.entry for action in self.of(act.Write)]

    def asked_for_a_tool(self) -> None:
        self.tell(ev.Begin())
        self.caller_says("Where is my order?")
        self.tell(ev.ToolAsked(self.thought.reply, CALL))
        self.tell(ev.ReplyDone(self.thought.reply))


def said(driver: Driver) -> list[str]:
    return [action.text for action in driver.of(act.Say)]
