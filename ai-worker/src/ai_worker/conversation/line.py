"""What is done on the line (transfer, keys, hang-up): asked for until the streamer says that it is done, done once."""

from __future__ import annotations

from typing import Literal

from ai_worker.conversation.actions import OUTCOMES, Act, LineAction, StopSpeaking
from ai_worker.conversation.context import Context
from ai_worker.conversation.history import INTERRUPTED, PendingAction
from ai_worker.conversation.tooluse import ToolUse
from callbus import transcript

_ATTEMPTS = 3
_LEFT = "the call is left before."
_FILE = "a file is played before, and nobody tells when it ends. Call this again when the caller has spoken."
_NOT_ALONE = "It was not done, for what was to be done before it can't be. Call this again if it is still wanted."


class Line:
    """What is planned is done in its order, each when the one before it was. From a transfer or a hang-up on, the bot
    is `leaving`: nothing stops it; `closing` says so even before the last words are heard.
    """

    def __init__(self, context: Context, tools: ToolUse) -> None:
        self._context = context
        self._tools = tools
        self._acting: PendingAction | None = None
        self._attempts = 0
        self.closing = False
        self.outcome = context.history.outcome

    @property
    def leaving(self) -> bool:
        acting = self._acting is not None and self._acting.kind in OUTCOMES
        return acting or self.closing or self.outcome is not None

    @property
    def busy(self) -> bool:
        """Whether the streamer has been asked for something, and has not answered yet."""
        return self._acting is not None

    @property
    def nothing_follows(self) -> str:
        """Why nothing can be done after what is planned; "" when something can."""
        kinds = {action.kind for action in self._context.history.planned}
        return _LEFT if kinds & OUTCOMES.keys() else _FILE if "play" in kinds else ""

    def plan(self, kind: LineAction, argument: str, *, tool_call_id: str = "", say: str = "") -> PendingAction:
        """An action that follows when what the bot says first was heard; the tool call that wants it, if one does, and
        what that wants said right before."""
        action_id = f"{self._context.new_id()}-{kind}"
        action = PendingAction(action_id, kind, argument, tool_call_id=tool_call_id, say=say)
        self._context.history.planned.append(action)
        self._write(action, "planned")
        return action

    def drop(self, why: str = INTERRUPTED) -> None:
        """What is planned and was not asked for is not done: the caller interrupted the announcement, say. The model
        is told."""
        history = self._context.history
        for action in [action for action in history.planned if not action.asked]:
            history.planned.remove(action)
            self._write(action, "dropped")
            self._tools.undone(action.tool_call_id, why)

    def not_planned(self) -> None:
        """What tool calls wanted done and was not even planned when another worker died: the model is told."""
        history = self._context.history
        planned = {action.tool_call_id for action in history.planned}
        for call in history.without_result:
            if call.name in self._context.persona.line_tools and call.id not in planned:
                self._tools.undone(call.id, INTERRUPTED)

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
        self._context.history.file_may_play = action.kind == "play"
        return True

    def stop_file(self) -> None:
        """Somebody speaks: a file that may still be playing is stopped."""
        if self._context.history.file_may_play:
            self._context.history.file_may_play = False
            self._context.emit(StopSpeaking())

    def refused(self, action_id: str, reason: str) -> PendingAction | None:
        """It can't be done, nor what was to follow, and the model is told; the action, if it is what was asked for."""
        action = self._answered(action_id, "refused")
        if action:
            self._tools.undone(action.tool_call_id, f"It was not done, and can't be: {reason}")
            self.drop(_NOT_ALONE)
        return action

    def _answered(self, action_id: str, state: Literal["done", "refused"]) -> PendingAction | None:
        action = self._acting
        if action is None or action.action_id != action_id:
            return None
        self._acting = None
        self._context.timers.cancel("acting")
        self._context.history.planned.remove(action)
        self._write(action, state)
        return action

    def _write(self, action: PendingAction, state: Literal["planned", "asked", "done", "refused", "dropped"]) -> None:
        acted = transcript.Acted(
            self._context.now, action.action_id, action.kind, action.argument, state, action.tool_call_id, action.say
        )
        self._context.write(acted)
