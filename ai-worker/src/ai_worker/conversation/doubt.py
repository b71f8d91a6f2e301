"""Sound that may be nobody's words: the bot's own echo, a television, a cough. Whoever interrupts, says something."""

from __future__ import annotations

from difflib import SequenceMatcher

from ai_worker.conversation.context import Context
from ai_worker.conversation.endpointing import is_backchannel, words
from ai_worker.conversation.languages import language_of
from ai_worker.conversation.mouth import Reply
from ai_worker.conversation.utterance import Utterance

# Of the words that are understood of an echo, so many are the bot's, in its order.
_ECHOED = 0.8
_ECHO_S = 0.6
"""So long after the bot's words their echo is on the line at the latest, the detector's lateness included."""
_LONGEST_QUESTION_BACK = 3
_FEW = 4
"""So many words of the bot's may also be an answer: "on Monday or on Tuesday?" - "On Tuesday"."""


class Doubt:
    """Counts the interruptions that were none: after a few, sound alone doesn't stop the bot any more in this call."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._false_alarms = 0
        self._echoes = False
        """Whether this line has sent back what the bot said."""

    @property
    def wary(self) -> bool:
        """Whether words are needed to stop the bot."""
        return self._false_alarms >= self._context.options.false_alarms

    def false_alarm(self) -> None:
        self._false_alarms += 1

    def interrupted(self) -> None:
        """The caller did interrupt: sound is believed again."""
        self._false_alarms = 0

    def interrupts(self, text: str, utterance: Utterance) -> bool:
        """Whether these words are an interruption: not a backchannel, not the bot's own."""
        language = self._context.persona.language
        echoed = self._echoed(text, utterance, until=self._context.now)
        return bool(words(text)) and not is_backchannel(text, language) and not echoed

    def is_echo(self, text: str, utterance: Utterance) -> bool:
        """Whether this whole utterance is the bot's echo. A few words may be an answer, until the line has echoed."""
        utterance.echoes = self._echoed(text, utterance, until=utterance.stopped_at)
        if not utterance.echoes:
            return False
        known, self._echoes = self._echoes, True
        return known or len(words(text)) > _FEW

    def stops_nobody(self, text: str, utterance: Utterance) -> bool:
        """Whether the bot goes on over this whole utterance. If it has no more to say, it may be an answer."""
        return utterance.echoes or is_backchannel(text, self._context.persona.language)

    def _echoed(self, text: str, utterance: Utterance, *, until: float) -> bool:
        """Whether the bot said that itself, just before or while it was said, `until` then.

        A question back ("nine o'clock?") is the caller's.
        """
        heard = words(text)
        if not utterance.over_bot or not heard:
            return False
        if len(heard) <= _LONGEST_QUESTION_BACK and text.rstrip().endswith("?"):
            return False
        if len(heard) == 1 and heard[0] in language_of(self._context.persona.language).objections:
            return False
        language = self._context.persona.language
        said = words(self._context.history.heard_between(utterance.started_at - _ECHO_S, until, language))
        blocks = SequenceMatcher(a=said, b=heard, autojunk=False).get_matching_blocks()
        return sum(block.size for block in blocks) >= _ECHOED * len(heard)


def speaks(reply: Reply | None) -> bool:
    """Whether the bot can be heard, or is about to go on."""
    return reply is not None and (reply.heard or reply.paused)
