"""What a text must hold or must not: words as they are spoken, or a regular expression between slashes."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrase:
    """`given` is what stands in the file; `pattern` is looked for in a text that was made `plain`."""

    given: str
    pattern: re.Pattern[str]

    @classmethod
    def parse(cls, given: str) -> Phrase:
        """Raises ValueError for what can match nothing, or is no regular expression."""
        if len(given) > 2 and given.startswith("/") and given.endswith("/"):
            try:
                pattern = re.compile(given[1:-1], re.IGNORECASE)
            except re.error as error:
                raise ValueError(f"{given} is no regular expression: {error}") from error
            if pattern.search(""):
                raise ValueError(f"{given} matches every text")
            return cls(given, pattern)
        words = plain(given)
        if not words:
            raise ValueError(f"{given!r} holds no word")
        return cls(given, re.compile(rf"(?<!\w){re.escape(words)}(?!\w)"))

    def after(self, text: str, position: int) -> int | None:
        """Where its first place in a plain text at or after `position` ends."""
        found = self.pattern.search(text, position)
        return found.end() if found else None


def plain(text: str) -> str:
    """Lower case, one space between words, no apostrophes or punctuation: however it was written down."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]", " ", re.sub(r"['’]", "", folded)).split())


def missing_in_order(phrases: tuple[Phrase, ...], text: str) -> Phrase | None:
    """The first of the phrases that is not found behind the ones before it; None when all are."""
    searched, position = plain(text), 0
    for phrase in phrases:
        end = phrase.after(searched, position)
        if end is None:
            return phrase
        position = end
    return None


def first_found(phrases: tuple[Phrase, ...], text: str) -> Phrase | None:
    """The first of the phrases that the text holds."""
    searched = plain(text)
    return next((phrase for phrase in phrases if phrase.after(searched, 0) is not None), None)
