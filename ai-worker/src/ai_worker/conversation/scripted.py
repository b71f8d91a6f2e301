"""Fixed texts as sentences. What stands in << >> can't be interrupted: "<<This call is recorded.>> How can I help?"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ai_worker.conversation.sentences import split_sentences

_PART = re.compile(r"<<(.*?)>>|((?:(?!<<).)+)", re.DOTALL)
_MARK = re.compile(r"<<|>>")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence to be said. The caller can't interrupt the bot until a `protected` one was heard.

    `by_operator`: they are an operator's words.
    """

    text: str
    protected: bool = False
    by_operator: bool = False


def sentences(text: str) -> list[Sentence]:
    """A whole fixed text as sentences."""
    return [
        Sentence(sentence, protected is not None)
        for protected, open_ in (found.groups() for found in _PART.finditer(text))
        for sentence in split_sentences(open_ if protected is None else protected)
    ]


def protect(text: str) -> str:
    """The text with all of it marked."""
    return f"<<{plain(text)}>>" if text else ""


def plain(text: str) -> str:
    """The text without its marks."""
    while _MARK.search(text):  # what is left on both sides of one may be another
        text = _MARK.sub("", text)
    return text


def misplaced_mark(text: str) -> str:
    """The first mark that has no partner, "" when each has one."""
    opened = ""
    for found in _MARK.finditer(text):
        if (found[0] == "<<") == bool(opened):
            return found[0]
        opened = "" if opened else found[0]
    return opened
