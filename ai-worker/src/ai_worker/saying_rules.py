"""What in a text is not said as it is written: patterns, and what is said for them."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ai_worker.saying_slashes import slash_patterns
from ai_worker.saying_words import LANGUAGES, ORDINALS, Words, words_of


@dataclass(frozen=True, slots=True)
class Rule:
    """`say` gives what is said for a match (or its group "say", if the pattern has one); None: leave it."""

    pattern: re.Pattern[str]
    say: Callable[[re.Match[str]], str | None]


_EMOJI = r"[\U0001F000-\U0001FAFF\u2600-\u27BF\uFE0F\u200D\u20E3]"
_SEPARATOR = r"[ .\-\u00A0\u202F]"
_BEFORE = r"(?<![\w.,:/@+\-])"
_AFTER = r"(?![\w@]|[.,:/\-]\w)"
_AMOUNT = r"\d{1,3}(?:[ ,.\u00A0\u202F]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d{1,12}(?:[.,]\d{1,2})?(?!\d)"
_DOMAIN = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9\-]*[a-zA-Z0-9])?\.)+[a-zA-Z]{2,}"


@cache
def rules_of(language: str) -> tuple[Rule, ...]:
    """`language` as for `spoken`; of two rules that fit at the same place, the earlier one counts."""
    words = words_of(language)
    slashes = [_rule(*rule) for rule in slash_patterns(language, words.date if words else None)]
    if words is None:
        return (*_unsayable(), *slashes, *_numbers(lambda group: " ".join(group), "+"))
    return (
        *_unsayable(),
        *_addresses(words),
        *slashes,
        *_times(words),
        *_numbers(words.digits, f"{words.signs['+']} "),
        *_amounts(words),
        *_signs(words),
    )


def _rule(pattern: str, say: str | Callable[[re.Match[str]], str | None]) -> Rule:
    if isinstance(say, str):
        fixed = say
        return Rule(re.compile(pattern), lambda _: fixed)
    return Rule(re.compile(pattern), say)


def _unsayable() -> tuple[Rule, ...]:
    return (
        _rule(rf"\s?{_EMOJI}+", ""),
        _rule(r"\[(?=[^\[\]\n]+\]\(https?://[^\s)]+\))", ""),
        _rule(r"\]\(https?://[^\s)]+\)", ""),
        _rule(r"\*\*|__|`", ""),
        # Not at a figure: "press *1" is a key.
        _rule(r"(?<!\w)\*(?=[^\W\d])|(?<=[^\W\d])\*(?!\w)", ""),
        _rule(r"(?m)^#{1,6} +|^ *[-•*] +", ""),
    )


def _addresses(words: Words) -> tuple[Rule, ...]:
    def say(address: str) -> str:
        parts = re.split(r"([.@\-_/:?=&#%+~])", address)
        return " ".join(words.signs.get(part, part) for part in parts if part)

    return (
        _rule(rf"(?<![\w.])[\w.+\-]+@{_DOMAIN}", lambda match: say(match[0])),
        _rule(
            rf"(?:https?://(?:www\.)?|(?<![\w.@])www\.)(?P<rest>{_DOMAIN}(?:[/?:#][\w\-./?=&#%+~:]*[\w/])?)",
            lambda match: say(match["rest"].rstrip("/")),
        ),
        # Only endings that no word after a forgotten space has.
        _rule(
            r"(?<![\w.@\-])(?:[a-z0-9][a-z0-9\-]*\.)+(?:com|net|org|fr|eu|info)(?:/[\w\-./]*\w)?(?![\w@]|[.\-]\w)",
            lambda match: say(match[0]),
        ),
    )


def _times(words: Words) -> tuple[Rule, ...]:
    def date(match: re.Match[str]) -> str | None:
        try:
            return words.date(datetime.date.fromisoformat(match[0]))
        except ValueError:
            return None

    def time(match: re.Match[str]) -> str:
        return words.time(int(match["hour"]), int(match["minute"] or 0), bool(match["half"]))

    hour = r"(?<![\w.,:+/])(?<!\d-)(?P<hour>[01]?\d|2[0-4])"
    half = r"(?=(?P<half>\s?[aApP]\.?[mM]\b)?)"
    colon = rf"{hour}:(?P<minute>[0-5]\d)(?![\w%]|[:/.,]\d){half}"
    rules = [
        _rule(rf"{_BEFORE}\d{{4}}-\d\d-\d\d{_AFTER}", date),
        _rule(r"(?:(?<=\d[:h]\d\d)|(?<=\dh))\s?[-–]\s?(?=\d{1,2}[:h])", f" {words.to} "),
        _rule(r"(?<=:\d\d-)(?P<say>(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d))(?![\w%]|[:/.,]\d)" + half, time),
        _rule(colon, time),
    ]
    if words is LANGUAGES["fr"]:
        rules.append(_rule(rf"{hour} ?[hH](?: ?(?P<minute>[0-5]\d)\b|(?!\w))(?P<half>(?!))?", time))
    return tuple(rules)


def _numbers(digits: Callable[[str], str], plus: str) -> tuple[Rule, ...]:
    """Telephone numbers, codes, and whatever else is too long for a quantity."""

    def grouped(groups: list[str]) -> str:
        return ", ".join(digits(group) for group in groups)

    def international(match: re.Match[str]) -> str | None:
        groups = re.findall(r"\d+", match[0])
        if not 8 <= sum(map(len, groups)) <= 15:
            return None
        if len(groups) == 1:
            number = groups[0]
            code = 1 if number[0] in "17" else 2 if number[:2] in _TWO_FIGURES else 3
            rest = number[code:]
            groups = [number[:code], *(_in_pairs(rest) if number[:2] in ("33", "32", "41") else _in_groups(rest))]
        return plus + grouped(groups)

    def national(match: re.Match[str]) -> str | None:
        groups = re.findall(r"\d+", match[0])
        total = sum(map(len, groups))
        if not 9 <= total <= 11:
            return None
        return grouped(_in_pairs(groups[0]) if len(groups) == 1 else groups)

    def code(match: re.Match[str]) -> str:
        return grouped(_in_groups(match["say"]))

    end = r"(?![\w@]|[.,:/\-]\d)"
    return (
        _rule(rf"(?<![\w+])\+\d(?:{_SEPARATOR}?\(?\d+\)?)+{end}", international),
        _rule(
            rf"{_BEFORE}0\d(?:{_SEPARATOR}?\d\d){{4}}{end}|{_BEFORE}0\d{{2,4}}(?:{_SEPARATOR}\d{{3,4}}){{2}}{end}",
            national,
        ),
        _rule(rf"{_BEFORE}\(?\d{{3}}\)?{_SEPARATOR}\d{{3}}[.\-]\d{{4}}{end}", national),
        _rule(rf"{_BEFORE}(?<!\d[ \u00A0\u202F])(?P<say>0\d{{2,}}|\d{{7,}}){end}", code),
        _rule(rf"(?i){_BEFORE}(?:{_CODES})(?: ?:| is| est|) (?P<say>\d{{4,6}}){end}", code),
        _rule(
            rf"(?<![\w\-])[A-Z]{{1,4}}(?P<say>-?\d{{4,}}){end}",
            lambda match: " " + grouped(_in_groups(match["say"].lstrip("-"))),
        ),
        _rule(rf"(?<=#)(?P<say>\d{{4,}}){end}", code),
    )


_CODES = "code|pin|number|reference|ref|ticket|extension|numéro|référence|dossier|poste"
_TWO_FIGURES = frozenset(
    "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 "
    "90 91 92 93 94 95 98".split()
)
"""Country codes of two figures (ITU-T E.164); 1 and 7 are alone, all others have three."""


def _in_pairs(number: str) -> list[str]:
    odd = len(number) % 2
    return ([number[:1]] if odd else []) + [number[n : n + 2] for n in range(odd, len(number), 2)]


def _in_groups(number: str) -> list[str]:
    """By threes, the last group two to four."""
    groups = [number[n : n + 3] for n in range(0, len(number), 3)]
    if len(groups) > 1 and len(groups[-1]) == 1:
        groups[-2:] = [groups[-2] + groups[-1]]
    return groups


def _amounts(words: Words) -> tuple[Rule, ...]:
    def money(match: re.Match[str]) -> str:
        figures = re.fullmatch(r"(.*?)(?:[.,](\d{1,2}))?", match["amount"])
        assert figures is not None
        whole, part = re.sub(r"\D", "", figures[1]), figures[2] or ""
        return words.money(match["sign"], int(whole), int(part.ljust(2, "0")) if part else 0)

    def unit(match: re.Match[str]) -> str:
        one, many = words.units[match["unit"]]
        return f"{match['number']} {many if words.plural(match['number']) else one}"

    units = "|".join(map(re.escape, sorted(words.units, key=len, reverse=True)))
    number = r"(?P<number>\d{1,12}(?:[.,]\d{1,12})?)"
    return (
        _rule(
            rf"(?<![\w.,$€£])(?P<sign>[€$£]) ?(?P<amount>{_AMOUNT})(?![\w%]|[.,]\d| ?(?:million|billion|thousand))",
            money,
        ),
        _rule(rf"(?<![\w.,$€£\-])(?P<amount>{_AMOUNT})[ \u00A0\u202F]?(?P<sign>[€$£])(?![\w$€£])", money),
        _rule(rf"(?<![\w.,]){number}[ \u00A0\u202F]?(?P<unit>{units})(?![\w/²])", unit),
        _rule(r"(?<=\d)[ \u00A0\u202F]?%(?!\w)", f" {words.signs['%']}"),
    )


def _signs(words: Words) -> tuple[Rule, ...]:
    rules = [
        _rule(r" ?& ?", f" {words.signs['&']} "),
        _rule(r"(?<![\w#&])#(?=\d)", f"{words.signs['#']} "),
    ]
    if words is LANGUAGES["fr"]:
        ordinals = "|".join(ORDINALS)
        rules += [
            _rule(rf"(?<![\w.,])(?:{ordinals})(?!\w)", lambda match: ORDINALS[match[0]]),
            _rule(r"(?<!\w)[nN]° ?(?=\d)", f"{words.signs['#']} "),
        ]
    return tuple(rules)
