"""Numbers as they are spoken: which of them stand at the end of a text, and how many digits each has."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any, NamedTuple

_HYPHEN = re.compile(r"(?<=[^\W\d])-(?=[^\W\d])")
# "3,50" is one number, and "12:30" a time of day.
_BREATH = re.compile(r"[;!?…–—/]|[.:](?!\w)|,(?!\d\d(?![\d,]))|(?<!\S)-(?!\S)")
_MARKS = re.compile(r"[\"«»“”„()#]")
_FIGURES = r"\+?\d[\d-]*(?:[.,]\d+)*"


class Group(NamedTuple):
    """What was said in one go: "eighty-two" has two digits."""

    said: str
    digits: int
    figures: bool


class Ending(NamedTuple):
    """The numbers at the end of a text; `before` is the word that they follow, "" if there is none."""

    groups: tuple[Group, ...]
    before: str

    @property
    def digits(self) -> int:
        return sum(group.digits for group in self.groups)


class Numbers:
    """One language's words for numbers, as languages.yaml has them.

    `noughts`, `units` from one on, `teens` (from ten on, and other numbers of two digits that nothing is added to),
    `tens` (a unit may be added; `tens_before_teens`: a teen, too), `hundreds`, `joiners` between the parts, `doubling`
    ("double seven"). With `units_before_tens`, it is "three and twenty". Parts may be written as one word. `moments`
    stand before a time of day ("at nine thirty"), `centuries` begin a year ("nineteen eighty-two").
    """

    def __init__(self, spoken: Mapping[str, Any]) -> None:
        written = {name: words.split() for name, words in spoken.items() if isinstance(words, str)}
        self._lists = {name: [_plain(word) for word in words] for name, words in written.items()}
        self._spoken = re.compile(_pattern(self._lists, units_before_tens=bool(spoken.get("units_before_tens"))))

    def at_end(self, text: str) -> Ending:
        """The numbers that `text` ends with, in words or in figures."""
        groups: list[Group] = []
        before = ""
        for found in self._spoken.finditer(_plain(text)):
            kind = found.lastgroup
            if kind == "word":
                groups.clear()
                before = found[0]
            elif kind == "figures":
                groups.append(Group(found[0], sum(map(str.isdigit, found[0])), True))
            elif kind and kind != "breath":
                groups.append(Group(found[0], _DIGITS[kind], False))
        return Ending(tuple(groups), before)

    def value(self, word: str) -> int:
        """A number below twenty, in a word or in figures; 0 for any other word."""
        if word.isdecimal():
            return int(word)
        counted = ["", *self._list("units", 9), *self._list("teens", 10)]
        plain = _plain(word).strip()
        return counted.index(plain) if plain in counted else 0

    def is_moment(self, ending: Ending) -> bool:
        """Whether the two numbers at the end are a time of day or a year, and not the first of many."""
        if len(ending.groups) != 2 or any(group.digits > 2 for group in ending.groups):
            return False
        first, second = ending.groups
        told = ending.before in self._lists.get("moments", ()) or first.said in self._lists.get("centuries", ())
        return told and second.digits == 2 and not self.nought(first)

    def nought(self, group: Group) -> bool:
        """Whether a group begins with zero, as no quantity does."""
        return group.said.startswith("0") or group.said in self._lists.get("noughts", ())

    def _list(self, name: str, length: int) -> list[str]:
        words = self._lists.get(name, [])[:length]
        return words + [""] * (length - len(words))


_DIGITS = {"four": 4, "three": 3, "two": 2, "one": 1, "doubled": 1}


def _pattern(lists: Mapping[str, list[str]], *, units_before_tens: bool) -> str:
    """Each match is a number that was said in one go, a breath, or another word."""
    unit, teen, ten = (_any(lists, name) for name in ("units", "teens", "tens"))
    joiner = _any(lists, "joiners")
    joined = rf"(?: ?{joiner})? ?"
    pair = rf"{unit} ?{joiner} ?{ten}" if units_before_tens else rf"{ten}{joined}{unit}"
    two = rf"(?:{_any(lists, 'tens_before_teens')}{joined}{teen}|{pair}|{teen}|{ten})"
    hundreds = rf"{_any(lists, 'hundreds')}(?:{joined}(?:{two}|{unit}))?"
    kinds = {
        "four": rf"{teen} ?{hundreds}",
        "three": rf"(?:{unit} ?)?{hundreds}",
        "two": two,
        "one": rf"{unit}|{_any(lists, 'noughts')}",
        "doubled": _any(lists, "doubling"),
        "figures": _FIGURES,
        "breath": ",",
        "word": r"\S+",
    }
    numbers = "|".join(f"(?P<{kind}>{pattern})" for kind, pattern in kinds.items())
    return rf"(?<!\S)(?:{numbers})(?!\S)"


def _any(lists: Mapping[str, list[str]], name: str) -> str:
    """One of a list's words; nothing matches a list that there is not."""
    words = sorted(lists.get(name, ()), key=len, reverse=True)
    return rf"(?:{'|'.join(re.escape(word) for word in words)})" if words else r"(?!)"


def _plain(text: str) -> str:
    """Lower case without accents, hyphens in words and marks; every breath is a comma of its own."""
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(char for char in text if not unicodedata.combining(char))
    return _MARKS.sub(" ", _BREATH.sub(" , ", _HYPHEN.sub(" ", text)))
