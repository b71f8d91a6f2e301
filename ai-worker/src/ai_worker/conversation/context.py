"""What the parts of a conversation share: the time, the way out for actions, the timers, the history."""

from __future__ import annotations

from ai_worker.conversation.actions import Action, Write
from ai_worker.conversation.history import History
from ai_worker.conversation.persona import Persona, TurnTaking
from ai_worker.conversation.timers import Timers
from callbus import transcript


class Context:
    """One conversation's common ground. `prefix` makes ids unlike those of any other worker of the call."""

    def __init__(self, persona: Persona, options: TurnTaking, history: History, prefix: str) -> None:
        self.persona = persona
        self.options = options
        self.history = history
        self.prefix = prefix
        self.timers = Timers()
        self.now = 0.0
        self.out: list[Action] = []
        self._ids = 0
        self._replies = 0

    def new_id(self) -> str:
        self._ids += 1
        return f"{self.prefix}.{self._ids}"

    def new_reply(self) -> int:
        """The number of a reply, or of a guess that may become one."""
        self._replies += 1
        return self._replies

    def emit(self, action: Action) -> None:
        self.out.append(action)

    def write(self, entry: transcript.Entry) -> None:
        self.out.append(Write(entry))

    def note(self, text: str) -> None:
        self.write(transcript.Noted(self.now, text))

    def after(self, timer: str, seconds: float) -> None:
        self.timers.set(timer, self.now + seconds)
