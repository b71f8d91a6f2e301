"""Speculation: the answer to a turn that is probably over is thought of before it is, and forgotten if it is not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from ai_worker.conversation.actions import Guessed, Prepare, StopThinking, Think, Unprepare
from ai_worker.conversation.context import Context
from ai_worker.conversation.endpointing import words
from ai_worker.conversation.events import ReplyDone, ReplyFailed, ReplyText, ToolAsked
from ai_worker.conversation.scripted import sentences
from ai_worker.conversation.sentences import SentenceSplitter
from ai_worker.providers.base import ChatMessage

Written: TypeAlias = ReplyText | ToolAsked | ReplyDone


@dataclass(slots=True)
class Guess:
    """What the model has written so far about `messages`; without messages, a scripted answer that is being prepared.

    `marks` are its moments, by the names of the turn's stages.
    """

    reply: int
    messages: tuple[ChatMessage, ...] = ()
    written: list[Written] = field(default_factory=list)
    done: bool = False
    prepared: str = ""
    splitter: SentenceSplitter = field(default_factory=SentenceSplitter)
    marks: dict[str, float] = field(default_factory=dict)


class Speculation:
    """At most one guess at a time. Nothing of it is written, said or done until it is taken."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._guess: Guess | None = None
        self._left = context.options.guesses

    @property
    def waits(self) -> bool:
        """Whether there is a guess that the turn's end is awaited for."""
        return self._guess is not None

    def think(self, messages: tuple[ChatMessage, ...]) -> None:
        """Ask the model about `messages`, unless it is being asked, or the caller's pauses have cost enough."""
        if self._guess and _same(self._guess.messages, messages):
            return
        self.drop()
        if self._may_guess():
            guess = Guess(self._context.new_reply(), messages, marks={"llm_asked": self._context.now})
            self._guess = guess
            self._context.emit(Think(guess.reply, messages, self._context.persona.tools, guess=True))

    def prepare(self, text: str) -> None:
        """Synthesise the beginning of a fixed text."""
        sentence = next((sentence.text for sentence in sentences(text)), "")
        if self._guess and self._guess.prepared == sentence:
            return
        self.drop()
        if sentence and self._may_guess():
            self._guess = Guess(0)
            self._prepare(self._guess, sentence)

    def wrote(self, event: ReplyText | ToolAsked | ReplyDone | ReplyFailed) -> bool:
        """Keep what the model writes; False if it is not about a guess."""
        guess = self._guess
        if guess is None or event.reply != guess.reply:
            return False
        if isinstance(event, ReplyFailed):
            # The turn itself deserves an attempt of its own.
            guess.done = True
            self.drop()
            return True
        guess.written.append(event)
        guess.done = isinstance(event, ReplyDone)
        if not guess.done:
            guess.marks.setdefault("llm_first_token", self._context.now)
        if not guess.prepared:
            if isinstance(event, ReplyText):
                sentences = guess.splitter.feed(event.text)
            else:
                sentences = guess.splitter.flush() if guess.done else []
            if sentences:
                guess.marks["first_sentence"] = self._context.now
                self._prepare(guess, sentences[0])
        return True

    def take(self, messages: tuple[ChatMessage, ...]) -> Guess | None:
        """The turn is over: the guess, if it is about just these messages, give or take the last one's punctuation."""
        guess = self._guess if self._guess and _same(self._guess.messages, messages) else None
        if guess:
            self._guess = None
            self._context.emit(Guessed(used=True))
        self.drop()
        return guess

    def take_prepared(self) -> None:
        """The turn is over, and its answer is a fixed text: what was prepared is used if it is just that."""
        if self._guess and not self._guess.messages:
            self._guess = None
        self.drop()

    def drop(self) -> None:
        """Forget it: the caller goes on."""
        guess, self._guess = self._guess, None
        if guess is None:
            return
        if guess.prepared:
            self._context.emit(Unprepare())
        if guess.messages:
            if not guess.done:
                self._context.emit(StopThinking(guess.reply))
            self._context.emit(Guessed(used=False))

    def turn_over(self) -> None:
        """The next turn's answer may be guessed as often as this one's."""
        self._left = self._context.options.guesses

    def _may_guess(self) -> bool:
        """Whether there is one more guess for this turn; then that is used up."""
        if self._left <= 0:
            return False
        self._left -= 1
        return True

    def _prepare(self, guess: Guess, sentence: str) -> None:
        guess.prepared = sentence
        self._context.emit(Prepare(sentence))


def _same(guessed: tuple[ChatMessage, ...], messages: tuple[ChatMessage, ...]) -> bool:
    """Whether an answer to the one is an answer to the other: final words differ from partial ones in a full stop."""
    if not guessed or not messages or len(guessed) != len(messages) or guessed[:-1] != messages[:-1]:
        return False
    ours, theirs = guessed[-1], messages[-1]
    return ours == theirs or (ours.role == theirs.role == "user" and words(ours.content) == words(theirs.content) != [])
