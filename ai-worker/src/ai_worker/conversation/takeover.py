"""Takes up the conversation of a worker that is gone, where it was left."""

from __future__ import annotations

from collections.abc import Callable

from ai_worker.conversation import scripted
from ai_worker.conversation.context import Context
from ai_worker.conversation.endpointing import words
from ai_worker.conversation.events import Played
from ai_worker.conversation.history import Exchange
from ai_worker.conversation.line import Line
from ai_worker.conversation.mouth import Mouth
from ai_worker.conversation.scripted import Sentence
from ai_worker.conversation.thinker import Thinker


class TakeOver:
    """The streamer tells what was heard of the other worker's last words; until then it is `under_way`.

    `on_silent` is called when there is nothing to go on with.
    """

    def __init__(
        self, context: Context, line: Line, mouth: Mouth, thinker: Thinker, on_silent: Callable[[], None]
    ) -> None:
        self._context = context
        self._line = line
        self._mouth = mouth
        self._thinker = thinker
        self._on_silent = on_silent
        self.under_way = False

    def begin(self) -> None:
        pending = self._context.history.pending
        if pending and pending.asked:
            self._line.act(pending)
        else:
            self.under_way = True
            self._context.after("resuming", self._context.options.speaking_limit)

    def played(self, event: Played) -> None:
        if self.under_way and event.state == "idle":
            self.go_on()

    def go_on(self) -> None:
        """All that can be known is known: say the rest, answer what was not answered, do what was announced."""
        history = self._context.history
        self._end()
        self._mouth.settle_unknown()
        if not history.announced:
            self._line.drop()
        rest = self._missing()
        result_came = history.unanswered and isinstance(history.said[-1], Exchange)
        sentences = history.unheard_ending() + (rest or [])
        mine_to_decide = history.pending is None or history.pending.tool_call_id != ""
        ask = mine_to_decide and (result_came or rest is None)
        if sentences or ask or history.pending:
            said = frozenset(" ".join(words(text)) for text in history.said_in_turn())
            self._thinker.continue_with(sentences, history.pending, ask=ask, known=None if result_came else said)
        elif history.unanswered:
            self._thinker.answer(history.said[-1] if isinstance(history.said[-1], str) else "")
        else:
            self._on_silent()

    def hush(self) -> None:
        """The caller speaks over the other worker's words."""
        if self.under_way:
            self._mouth.silence()

    def stop(self) -> None:
        """Something else comes first: what was left unsaid stays unsaid."""
        if self.under_way:
            self._end()
            self._line.drop()
            self._mouth.silence()

    def _missing(self) -> list[Sentence] | None:
        """What was to follow the other worker's last sentence, by the script; None when only the model can tell."""
        history, persona = self._context.history, self._context.persona
        if history.pending and history.pending.tool_call_id:
            return history.left_to_announce(history.pending)
        said = history.said_in_turn()
        if not (history.cut_short and said):
            return []
        if not history.turn:
            text = persona.first_words
        elif fixed := persona.script(history.callers_words):
            text = fixed.say
        else:
            return None
        whole = scripted.sentences(text)
        return whole[len(said) :] if said == [sentence.text for sentence in whole[: len(said)]] else []

    def _end(self) -> None:
        self.under_way = False
        self._context.timers.cancel("resuming")
        self._line.not_planned()
