"""What a person at the console wants done in a call: a line said, the bot silenced, the caller put through, the end."""

from __future__ import annotations

import re
from collections.abc import Callable

from ai_worker.conversation.actions import LineAction
from ai_worker.conversation.context import Context
from ai_worker.conversation.ear import Ear
from ai_worker.conversation.events import OperatorAsked
from ai_worker.conversation.history import History, PendingAction
from ai_worker.conversation.line import Line
from ai_worker.conversation.mouth import Reply
from ai_worker.conversation.scripted import plain
from ai_worker.conversation.speaker import Speaker
from ai_worker.conversation.stages import Stages
from ai_worker.conversation.takeover import TakeOver
from ai_worker.conversation.thinker import Thinker
from callbus import wishes

_NUMBER = re.compile(r"[0-9]{2,20}")


def recall(history: History, note: str) -> None:
    """What a note in another worker's transcript tells of a wish: it is not to be granted again."""
    if noted := wishes.read_note(note):
        history.wishes.add(noted.entry_id)
        if noted.wish in ("mute", "unmute") and not noted.refused:
            history.muted = noted.wish == "mute"


def wanted(action: PendingAction) -> bool:
    """Whether it was an operator who wanted this done."""
    return wishes.is_operators(action.action_id)


class Operator:
    """Grants each wish once, whatever crashes; each leaves a note in the transcript.

    `on_silent` is called when the bot may listen again.
    """

    def __init__(
        self,
        context: Context,
        line: Line,
        ear: Ear,
        speaker: Speaker,
        thinker: Thinker,
        takeover: TakeOver,
        on_silent: Callable[[], None],
    ) -> None:
        self._context = context
        self._history = context.history
        self._line = line
        self._ear = ear
        self._speaker = speaker
        self._thinker = thinker
        self._takeover = takeover
        self._on_silent = on_silent
        self._reply: Reply | None = None
        self._text = ""

    def asked(self, event: OperatorAsked) -> None:
        """Grant a wish, unless that was done before, or comes too late."""
        if event.entry_id in self._history.wishes:
            return
        self._history.wishes.add(event.entry_id)
        match event.wish:
            case "say":
                self._say(event)
            case "transfer":
                self._leave(event, "transfer", event.argument)
            case "hang_up":
                self._leave(event, "hangup", "")
            case "mute":
                self._mute(event)
            case "unmute":
                self._unmute(event)

    @property
    def held_back(self) -> str:
        """What an operator wanted said and the bot has not begun to say, because the caller was speaking."""
        mine = self._reply is not None and self._reply is self._speaker.reply
        return self._text if mine and self._reply and not self._reply.segments else ""

    def answers(self, held_back: str) -> bool:
        """Whether the caller's turn is the operator's to answer: with what was `held_back` for it, or not at all."""
        if held_back:
            self._speaker.stages = Stages()
            self._utter(held_back)
        return bool(held_back) or self._history.muted

    # --- the wishes

    def _say(self, event: OperatorAsked) -> None:
        # Only the agent's file says what can't be interrupted.
        text = " ".join(plain(event.argument).split())
        if self._line.leaving or not text:
            self._note(event, "not done: the bot is leaving the call" if text else "not done: no words")
            return
        self._stop_talking()
        # Before the words: should the worker die in between, they are not said, rather than said twice.
        self._note(event)
        self._utter(text)

    def _utter(self, text: str) -> None:
        self._speaker.say_for_operator(text)
        self._reply, self._text = self._speaker.reply, text

    def _leave(self, event: OperatorAsked, kind: LineAction, argument: str) -> None:
        action = PendingAction(wishes.action_id(event.entry_id), kind, argument)
        pending = self._history.pending
        if pending and pending.action_id == action.action_id:
            self._note(event)  # asked for by a worker that is gone, and taken over from it
        elif kind == "transfer" and not _NUMBER.fullmatch(argument):
            self._note(event, "not done: expected a number of 2 to 20 digits")
        elif self._gone:
            self._note(event, "not done: the bot is leaving the call")
        else:
            self._stop_talking()
            self._history.planned = [action]
            self._line.act(action)
            self._note(event)

    @property
    def _gone(self) -> bool:
        """Whether a transfer or a hang-up is under way; while the bot only takes its leave, the operator may decide."""
        timers = self._context.timers
        return self._line.leaving and (timers.running("acting") or timers.running("leaving"))

    def _mute(self, event: OperatorAsked) -> None:
        if self._line.leaving:
            self._note(event, "not done: the bot is leaving the call")
            return
        self._history.muted = True
        self._stop_talking()
        self._thinker.forget_guess()
        self._context.timers.cancel("silence")
        self._note(event)

    def _unmute(self, event: OperatorAsked) -> None:
        was_muted, self._history.muted = self._history.muted, False
        self._note(event)
        if not was_muted or self._line.leaving or self._ear.busy or self._speaker.reply:
            return
        if self._history.unanswered:
            self._speaker.stages = Stages()
            self._thinker.answer(self._history.callers_words)
        else:
            self._on_silent()

    def _stop_talking(self) -> None:
        self._takeover.stop()
        self._speaker.abandon()

    def _note(self, event: OperatorAsked, refused: str = "") -> None:
        self._context.note(str(wishes.WishNoted(event.entry_id, event.wish, refused)))
