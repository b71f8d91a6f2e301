"""Is the caller dictating: digits, a spelling, an e-mail address? And is that whole?"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Literal

from ai_worker.conversation.languages import Language

Dictation = Literal["none", "under way", "probably whole", "whole"]

_TOKEN = re.compile(r"[\w'’@+-]+(?:\.[\w-]+)*")
_ADDRESS = re.compile(r"\S+@\S*$")
_WHOLE_ADDRESS = re.compile(r"\S+@[\w.-]+\.[a-z]{2,}$", re.IGNORECASE)
_ABBREVIATION = re.compile(r"\b[A-Z]{1,4}$")
_DOTTED = re.compile(r"[^\W\d][\w-]{2,}\.[\w.-]*[^\W\d]{2}$")
_TIME_OF_DAY = re.compile(r"\d\s*[ap]\.?\s?m$", re.IGNORECASE)
_MAIL_HOSTS = frozenset("gmail hotmail outlook yahoo icloud gmx orange free laposte web protonmail proton".split())
_TOP_LEVEL = frozenset("com org net fr de es it uk eu io be ch at co us ca info".split())
_MAIL = re.compile(r"\be-?mail\b|\bcourriel\b|\bcorreo\b", re.IGNORECASE)
_END = " .!?,…-:;"


def dictation(text: str, language: Language, *, asked: str = "") -> Dictation:
    """What is being dictated at the end of `text`. `asked` is what the bot said before ("…the six digits?")."""
    bare = text.rstrip(_END)
    if not bare or text.rstrip().endswith("?") or _TIME_OF_DAY.search(bare):
        return "none"
    tokens = _words(bare)
    numbers = language.numbers.at_end(bare)
    groups, count = numbers.groups, numbers.digits
    if count and (wanted := _wanted(asked, language)):
        return "whole" if count >= wanted else "under way"
    named = {*_words(asked), *tokens}
    if count in language.lengths and not language.lengths[count].isdisjoint(named):
        return "whole"
    code = not language.codes.isdisjoint(named)
    if groups and not code and language.numbers.is_moment(numbers):
        return "probably whole"
    # A short number that somebody says in one go tells how many, or when; but not in a code, or after a nought.
    nought = bool(groups) and groups[-1].figures and groups[-1].digits > 1 and language.numbers.nought(groups[-1])
    alone = bool(groups) and not numbers.before
    if len(groups) > 1 or nought or count >= 5 or (count and code) or (count >= 3 and alone and groups[-1].figures):
        return "probably whole" if count in language.phone_lengths else "under way"
    if alone:
        # "Nine." is an answer, or the first of more.
        return "probably whole"
    if address := _address(bare, tokens, language):
        return address
    if spelled := _spelled(tokens):
        # Somebody who spells a name has said it before, or will.
        return "probably whole" if len(spelled) > 2 and spelled in tokens else "under way"
    return "under way" if code and _ABBREVIATION.search(bare) else "none"


def _wanted(asked: str, language: Language) -> int:
    """How many digits the bot asked for; 0 when it did not say."""
    words = _words(asked.replace("-", " "))
    for number, noun in pairwise(words):
        if noun in language.digits and (count := language.numbers.value(number)):
            return count
    return 0


def _address(bare: str, tokens: list[str], language: Language) -> Dictation | None:
    if _WHOLE_ADDRESS.search(bare):
        return _ended_with(bare.rpartition(".")[2].lower(), "probably whole")
    if _ADDRESS.search(bare):
        return "under way"
    last = tokens[-1] if tokens else ""
    if last in language.dot:
        return "under way"
    if _DOTTED.search(last):
        # "sarah.miller" goes on with an at; "example.com" is whole.
        return _ended_with(last.rpartition(".")[2])
    before = tokens[-2] if len(tokens) > 1 else ""
    if before in language.dot:
        return _ended_with(last)
    # "at" alone is too common a word: "at noon", "at home".
    said_at = before in language.at and (last in _MAIL_HOSTS or (before != "at") or bool(_MAIL.search(bare)))
    return "under way" if said_at else None


def _ended_with(name: str, otherwise: Dictation = "under way") -> Dictation:
    """What a dot and this name make of an address: nothing goes on after "dot com", something may after "dot co"."""
    if name in _TOP_LEVEL:
        return "probably whole" if name == "co" else "whole"
    return otherwise


def _spelled(tokens: list[str]) -> str:
    """The word that is spelled at the end, of single letters, two at least: "M A R", "S-M-I"; else ""."""
    letters = ""
    for token in reversed(tokens):
        parts = token.split("-")
        if not all(len(part) == 1 and part.isalpha() for part in parts):
            break
        letters = "".join(parts) + letters
    return letters if len(letters) >= 2 else ""


def _words(text: str) -> list[str]:
    return [token.strip(_END).lower() for token in _TOKEN.findall(text)]
