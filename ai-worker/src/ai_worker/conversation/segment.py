"""One sentence of the bot on its way to the caller: which of its words he has heard."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ai_worker.conversation.scripted import Sentence
from ai_worker.providers.base import SaidUntil
from ai_worker.saying import spoken

# How long speech is when its audio is not all there yet: a middling speaker's ms for one character.
MS_PER_CHAR = 62


@dataclass(slots=True)
class Segment:
    """One sentence of the bot. `heard` is None while nothing is known to be final.

    `sounding` says that audio of it is on its way to the caller, `playing` that it is being heard; `continued` that its
    unheard words were said again, in another segment, which `continues` this one. The bot can't be interrupted until a
    `protected` one was heard. `by_operator`: they are an operator's words.
    """

    id: str
    text: str
    turn: int
    protected: bool = False
    heard: str | None = None
    interrupted: bool = False
    continued: bool = False
    sounding: bool = False
    playing: bool = False
    failed: bool = False
    continues: Segment | None = field(default=None, repr=False, compare=False)
    synthesised_ms: int | None = None
    started_at: float | None = None
    """When it began to be heard, by the streamer's clock; `since` says so by this worker's."""
    since: float | None = None
    timed: list[SaidUntil] = field(default_factory=list)
    """When which words will have been said, as far as the TTS knows; they count the text as it is said."""
    by_operator: bool = False

    @property
    def settled(self) -> bool:
        return self.heard is not None

    @property
    def must_be_heard(self) -> bool:
        """Whether the caller has to hear (more of) it before he can interrupt."""
        return self.protected and (not self.settled or (self.interrupted and not self.failed and self.unheard != ""))

    @property
    def said_again(self) -> bool:
        """Whether it is the rest of a sentence whose voice broke off."""
        return self.continues is not None and self.continues.failed

    @property
    def rest(self) -> Sentence:
        """What of it is to be said again."""
        return Sentence(self.unheard, self.protected, self.by_operator)

    @property
    def unheard(self) -> str:
        """The words that the caller has not heard, in this segment or another one."""
        return "" if self.continued else self.text[len(self.heard or "") :].strip()

    def heard_by(self, heard_ms: int, total_ms: int, language: str = "en") -> str:
        """The words that were heard whole after `heard_ms`; `total_ms` of audio had arrived by then.

        A number takes as long as its words take, so the place is looked for in the text as it was said: between the
        words that the TTS has timed, or where it would be if every letter took the same time.
        """
        said = spoken(self.text, language)
        length = self.synthesised_ms or max(total_ms, self._expected_ms(len(said.text)))
        if heard_ms <= 0 or length <= 0:
            return ""
        if heard_ms >= length:
            return self.text
        reached = said.original_prefix(self._said_by(heard_ms, len(said.text), length))
        if reached >= len(self.text):
            return self.text
        # A word that was cut in the middle was not heard.
        return self.text[: max(0, self.text.rfind(" ", 0, reached + 1))].rstrip()

    def heard_between(self, begin: float, end: float, language: str) -> str:
        """The words that were heard between two moments by this worker's clock, those at both ends included."""
        if self.since is None or end < self.since:
            return ""
        first, last = (self.heard_by(round((at - self.since) * 1000), 0, language) for at in (begin, end))
        if self.heard is not None and len(self.heard) < len(last):
            last = self.heard
        # The word that is being said is not heard whole yet.
        ends = self.text.find(" ", len(last) + 1)
        return self.text[len(first) : None if ends < 0 else ends].strip()

    def _expected_ms(self, chars: int) -> float:
        if not self.timed:
            return chars * MS_PER_CHAR
        last = self.timed[-1]
        return last.ms + (chars - last.chars) * last.ms / last.chars

    def _said_by(self, heard_ms: int, chars: int, length: float) -> int:
        """How many of `chars` characters, which take `length` ms, are said after `heard_ms`."""
        before, after = SaidUntil(0, 0), None
        for word in self.timed:
            if word.ms > heard_ms:
                after = word
                break
            before = word
        end_chars, end_ms = (after.chars, after.ms) if after else (chars, length)
        share = (heard_ms - before.ms) / (end_ms - before.ms)
        return math.floor(before.chars + (end_chars - before.chars) * share)
