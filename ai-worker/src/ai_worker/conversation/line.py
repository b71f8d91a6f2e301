"""What is done on the line (transfer, keys, hang-up): asked for until the streamer says that it is done, done once."""

from __future__ import annotations

from typing import Literal

from ai_worker.conversation.actions import OUTCOMES, Act, LineAction
from ai_worker.conversation.context import Context
from ai_worker.conversation.history import PendingAction
from callbus import transcript

_ATTEMPTS = 3


class Line:
    """At most one action is under way. From a transfer or a hang-up on, the bot is `leaving`: nothing stops it.

    `closing` says so even before the last words are heard.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._acting: PendingAction | None = None
        self._attempts = 0
        self.closing = False
        self.outcome = context.history.outcome

    @property
    def leaving(self) -> bool:
        acting = self._acting is not None and self._acting.kind in OUTCOMES
        return acting or self.closing or self.outcome is not None

    def plan(self, kind: LineAction, argument: str, tool_call_id: str = "") -> PendingAction:
        """An action that follows when what the bot says first was heard; the tool call that wants it, if one does."""
        action = PendingAction(f"{self._context.new_id()}-{kind}", kind, argument, tool_call_id=tool_call_id)
        self._context.history.pending = action
        self._write(action, "planned")
        return action

    def drop(self, action: PendingAction) -> None:
        """The caller interrupted the announcement: it is not done."""
        self._context.history.pending = None
        self._write(action, "dropped")

    def act(self, action: PendingAction) -> None:
        if not action.asked:
            action.asked = True
            self._write(action, "asked")
        if self._acting is not action:
            self._attempts = 0
        self._attempts += 1
        self._acting = action
        self._context.timers.cancel("silence", "turn")
        self._context.emit(Act(action.action_id, action.kind, action.argument))
        self._context.after("acting", self._context.options.acting_limit)

    def act_again(self) -> bool:
        """No answer from the streamer yet; False when there is nothing more to try."""
        if self._acting is None:
            return True
        if self._attempts >= _ATTEMPTS:
            return False
        self.act(self._acting)
        return True

    def done(self, action_id: str) -> bool:
        """The streamer did it; whether that was what was asked for."""
        action = self._answered(action_id, "done")
        if action is None:
            return False
        self.outcome = OUTCOMES.get(action.kind)
        return True

    def refused(self, action_id: str) -> PendingAction | None:
        """It can't be done; the action, if it is what was asked for."""
        return self._answered(action_id, "refused")

    def _answered(self, action_id: str, state: Literal["done", "refused"]) -> PendingAction | None:
        action = self._acting
        if action is None or action.action_id != action_id:
            return None
        self._acting = None
        self._context.timers.cancel("acting")
        self._context.history.pending = None
        self._write(action, state)
        return action

    def _write(self, action: PendingAction, state: Literal["planned", "asked", "done", "refused", "dropped"]) -> None:
        acted = transcript.Acted(
            self._context.now, action.action_id, action.kind, action.argument, state, action.tool_call_id
        )
        self._context.write(acted)
