"""Rules: patterns on the caller's words with a fixed answer, tried before the language model."""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]  # the only way to look into a pattern before it runs
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints, model_validator

from ai_worker.agent_fields import Misplaced, Name
from ai_worker.agent_templates import Spoken

LONGEST_TEXT = 500
"""Characters of the caller's words that rules look at. Bounds the time that a pattern can take."""

_FEW = 10
"""A repetition of up to this many is harmless inside (or around) another one."""

_APOSTROPHES = re.compile("['’‘`´]")
_NOT_WORDS = re.compile(r"[\W_]+")
_REGEX_ONLY = re.compile(r"[\\^$*+|(){}\[\]]")


def plain_words(text: str) -> str:
    """Lower case, no punctuation, one space between words: what patterns are matched against."""
    return _NOT_WORDS.sub(" ", _APOSTROPHES.sub("", text[:LONGEST_TEXT].lower())).strip()


def compile_pattern(written: object) -> re.Pattern[str]:
    """A pattern as it stands in an agent's file: `opening hours` is a phrase, `/opening (hours|times)/` a regular
    expression. Both match whole words of `plain_words`. Raises ValueError.
    """
    text = written if isinstance(written, str) else ""
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):
        source = _APOSTROPHES.sub("", text[1:-1])
        try:
            pattern = re.compile(rf"(?<!\w)(?:{source})(?!\w)", re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error.msg}") from error
        if pattern.search(""):
            raise ValueError("matches the empty text, so it would answer everything")
        if repeats_a_repetition(source):
            raise ValueError("repeats a repetition, such as (a+)+: that can take forever; repeat one of the two")
        return pattern
    if found := _REGEX_ONLY.search(text):
        raise ValueError(f"a phrase can't contain {found[0]}; a regular expression stands between slashes: /{text}/")
    words = plain_words(text)
    if not words:
        raise ValueError("expected a phrase of at least one word, or a regular expression between slashes")
    return re.compile(rf"(?<!\w){re.escape(words)}(?!\w)")


def repeats_a_repetition(source: str) -> bool:
    """Whether a regular expression can take exponential time, because one long repetition stands inside another."""
    return _explodes(_parser.parse(source))


def _explodes(parsed: Any, *, repeated: bool = False) -> bool:
    for operation, argument in parsed:
        inside = repeated
        if operation in (_constants.MAX_REPEAT, _constants.MIN_REPEAT):
            long = argument[1] > _FEW
            if long and repeated:
                return True
            inside = repeated or long
        if any(_explodes(part, repeated=inside) for part in _parts(argument)):
            return True
    return False


def _parts(argument: Any) -> list[Any]:
    if isinstance(argument, _parser.SubPattern):
        return [argument]
    if isinstance(argument, list | tuple):
        return [part for item in argument for part in _parts(item)]
    return []


Pattern = Annotated[re.Pattern[str], BeforeValidator(compile_pattern)]


Digits = Annotated[str, StringConstraints(pattern=r"^[0-9*#A-D]{1,32}$")]


class Rule(BaseModel):
    """When the caller says one of `when`: what the bot says, and what it then does.

    `to` is a name in the agent's `transfer` (do: transfer), `digits` the keys to press (do: press_digits). What it says
    can be interrupted, unless it is not `interruptible`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    when: tuple[Pattern, ...]
    do: Literal["say", "transfer", "hang_up", "press_digits"] = "say"
    say: Spoken | None = None
    to: Name | None = None
    digits: Digits | None = None
    interruptible: bool = True

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.when:
            raise Misplaced(("when",), "a rule needs at least one pattern")
        if self.do == "say" and self.say is None:
            raise ValueError("a rule needs `say`, or `do` with transfer, hang_up or press_digits")
        for field, action in (("to", "transfer"), ("digits", "press_digits")):
            given = getattr(self, field) is not None
            if self.do == action and not given:
                raise Misplaced(("do",), f"`do: {action}` needs `{field}`")
            if self.do != action and given:
                raise Misplaced((field,), f"`{field}` belongs to `do: {action}`, not to `do: {self.do}`")
        return self

    def matches(self, words: str) -> bool:
        """Whether one of the patterns is in `words` (see `plain_words`)."""
        return any(pattern.search(words) for pattern in self.when)
