"""Cuts a stream of text into sentences to be spoken: the first may be a clause, so that speech begins early."""

from __future__ import annotations

import re
import unicodedata

MIN_CHARS = 20
FIRST_MIN_CHARS = 8
"""Of a first piece that may be a clause: "Of course." is worth being said while the rest is still being written."""
MAX_CHARS = 220

_ABBREVIATIONS = frozenset("mr mrs ms dr st no vs etc e.g i.e a.m p.m prof sr jr approx".split())
# Where words are written without spaces, the sign alone ends a sentence; what closes it may follow in the next piece.
_WIDE = "。！？｡"
_CLOSING = rf"{_WIDE}!?…」』）】〉》”’\"')\]"
_SENTENCE_END = re.compile(rf"[.!?…]+[\"')\]]*(?=\s)|\n|[{_WIDE}][{_CLOSING}]*(?=[^{_CLOSING}])")
_ANY_END = re.compile(rf"{_SENTENCE_END.pattern}|[,;:–—](?=\s)|[、，；]")
# Emphasis, code, headings, list markers; a single * or # may be a key to press.
_MARKUP = re.compile(r"\*\*|__|`+|^\s*#{1,6}\s+|^\s*[-•*]\s+", re.MULTILINE)


class SentenceSplitter:
    """`feed` takes text as it comes and gives the sentences that are whole; `flush` gives the rest.

    With `early`, the first piece may end at a comma.
    """

    def __init__(self, *, early: bool = True) -> None:
        self._pending = ""
        self._first = early

    def feed(self, text: str) -> list[str]:
        self._pending = (self._pending + text).lstrip()
        found = []
        while (cut := self._cut()) is not None:
            sentence, self._pending = self._pending[:cut], self._pending[cut:].lstrip()
            if spoken := _spoken(sentence):
                found.append(spoken)
                self._first = False
        return found

    def flush(self) -> list[str]:
        rest, self._pending = _spoken(self._pending), ""
        return [rest] if rest else []

    def _cut(self) -> int | None:
        # The earliest end that will do, within MAX_CHARS: so it doesn't matter in which pieces the text comes.
        end, least = (_ANY_END, FIRST_MIN_CHARS) if self._first else (_SENTENCE_END, MIN_CHARS)
        for match in end.finditer(self._pending):
            if match.end() > MAX_CHARS:
                break
            if _length(_spoken(self._pending[: match.end()])) >= least and not self._abbreviated(match.start()):
                return match.end()
        if len(self._pending) > MAX_CHARS:
            # A run-on answer is cut between words rather than kept from the caller.
            cut = max(self._pending.rfind(sign, 0, MAX_CHARS) for sign in " 、，")
            return cut + 1 or MAX_CHARS
        return None

    def _abbreviated(self, end: int) -> bool:
        before = self._pending[:end].rsplit(None, 1)
        return bool(before) and before[-1].lower().lstrip("(\"'") in _ABBREVIATIONS


def split_sentences(text: str) -> list[str]:
    """A whole text as sentences, none of them a mere clause."""
    splitter = SentenceSplitter(early=False)
    return splitter.feed(text) + splitter.flush()


def _length(text: str) -> int:
    """In letters of an alphabet: a wide character (東) says as much as two of them, at least."""
    return len(text) + sum(unicodedata.east_asian_width(char) in "WF" for char in text)


def _spoken(text: str) -> str:
    """Text as it is said: without markup, white space folded; "" when nothing in it can be said."""
    folded = " ".join(_MARKUP.sub("", text).split())
    return folded if any(c.isalnum() for c in folded) else ""
