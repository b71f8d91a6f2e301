"""What is said for figures with a slash between them: "24/7", simple fractions, dates."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Say = str | Callable[[re.Match[str]], str | None]

_BEFORE = r"(?<![\w.,:/@+\-(])"
_AFTER = r"(?![\w@]|[.,:/\-]\w|\)?/)"
_DATE = rf"{_BEFORE}(?P<first>\d{{1,2}})/(?P<second>\d{{1,2}})/(?P<year>(?:19|20)\d\d)(?![\w@]|[.,:/\-]\w)"
_FRACTION = r"(?P<figures>1/2|1/3|2/3|1/4|3/4)"


@dataclass(frozen=True, slots=True)
class Slashes:
    """One language's words. A fraction after one of `dates` may be a day and a month, and is left as it is."""

    always: str
    """For "24/7"."""
    fractions: tuple[str, str, str, str, str]
    """For 1/2, 1/3, 2/3, 1/4 and 3/4; `after` for those after a whole number ("2 1/2")."""
    after: tuple[str, str, str, str, str]
    dates: tuple[str, ...]
    more: dict[str, str] = field(default_factory=dict)
    """Patterns of what only this language writes, or says another way."""


_FIGURES = ("1/2", "1/3", "2/3", "1/4", "3/4")
_SLASHES = {
    "en": Slashes(
        "twenty-four seven",
        ("one half", "one third", "two thirds", "one quarter", "three quarters"),
        ("and a half", "and a third", "and two thirds", "and a quarter", "and three quarters"),
        ("on", "from", "until", "till", "by", "since", "before", "after", "page", "part", "step"),
        {r"1/2 (?:an )?hour(?!\w)": "half an hour"},
    ),
    "fr": Slashes(
        "24 heures sur 24, 7 jours sur 7",
        ("un demi", "un tiers", "deux tiers", "un quart", "trois quarts"),
        ("et demi", "et un tiers", "et deux tiers", "et quart", "trois quarts"),
        ("le", "du", "au", "page", "partie", "étape"),
        {
            r"24 ?[hH]/24": "24 heures sur 24",
            r"7 ?[jJ](?:ours)?/7": "7 jours sur 7",
            r"1/2[ -]heure(?!\w)": "une demi-heure",
            r"1/2[ -]journée(?!\w)": "une demi-journée",
        },
    ),
    "de": Slashes(
        "rund um die Uhr",
        ("ein halb", "ein Drittel", "zwei Drittel", "ein Viertel", "drei Viertel"),
        ("einhalb", "ein Drittel", "zwei Drittel", "ein Viertel", "drei Viertel"),
        ("am", "vom", "zum", "bis", "ab", "seit", "Seite", "Teil", "Schritt"),
        {r"1/2 Stunde(?!\w)": "eine halbe Stunde", r"1/2 Tag(?!\w)": "ein halber Tag"},
    ),
    "es": Slashes(
        "las 24 horas, los 7 días de la semana",
        ("un medio", "un tercio", "dos tercios", "un cuarto", "tres cuartos"),
        ("y medio", "y un tercio", "y dos tercios", "y cuarto", "y tres cuartos"),
        ("el", "del", "al", "página", "parte", "paso"),
        {r"1/2 hora(?!\w)": "media hora"},
    ),
    "it": Slashes(
        "24 ore su 24, 7 giorni su 7",
        ("un mezzo", "un terzo", "due terzi", "un quarto", "tre quarti"),
        ("e mezzo", "e un terzo", "e due terzi", "e un quarto", "e tre quarti"),
        ("il", "dal", "al", "del", "pagina", "parte", "passo"),
        {
            r"24 ?[hH]/24": "24 ore su 24",
            r"7 ?(?:gg?|giorni)/7": "7 giorni su 7",
            r"1/2 ora(?!\w)": "mezz'ora",
        },
    ),
}
_MONTHS = {
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split(),
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre".split(),
}


def slash_patterns(language: str, say_date: Callable[[datetime.date], str] | None) -> Iterator[tuple[str, Say]]:
    """Patterns with what is said for them, of two at the same place the earlier one. `language` may have a region.

    `say_date`: None for a language whose dates are said as here.
    """
    code, _, region = language.lower().partition("-")
    words = _SLASHES.get(code)
    if words is None:
        return
    # English without a region is American, as the models write it.
    month_first = code == "en" and region in ("", "us")
    yield _DATE, _dates(say_date or _date_in(code), month_first=month_first)
    yield rf"{_BEFORE}24/7{_AFTER}", words.always
    no_date = "".join(rf"(?<!(?i:\b{word}) )" for word in words.dates)
    for pattern, said in words.more.items():
        yield rf"{_BEFORE}{no_date}{pattern}", said
    alone, after = (dict(zip(_FIGURES, said, strict=True)) for said in (words.fractions, words.after))
    yield rf"(?<=\d)[ \u00A0\u202F](?P<say>{_FRACTION}){_AFTER}", lambda match: after[match["figures"]]
    yield rf"{_BEFORE}{no_date}{_FRACTION}{_AFTER}", lambda match: alone[match["figures"]]


def _dates(say_date: Callable[[datetime.date], str], *, month_first: bool) -> Callable[[re.Match[str]], str | None]:
    def say(match: re.Match[str]) -> str | None:
        first, second, year = int(match["first"]), int(match["second"]), int(match["year"])
        usual, other = ((first, second), (second, first)) if month_first else ((second, first), (first, second))
        # 12/25 is no day of any month in one of the two orders: then it is meant in the other one.
        for month, day in (usual, other):
            try:
                return say_date(datetime.date(year, month, day))
            except ValueError:
                continue
        return None

    return say


def _date_in(code: str) -> Callable[[datetime.date], str]:
    months = _MONTHS[code]

    def say(date: datetime.date) -> str:
        month = months[date.month - 1]
        match code:
            case "de":
                return f"{date.day}. {month} {date.year}"
            case "es":
                return f"{date.day} de {month} de {date.year}"
        return f"{'primo' if date.day == 1 else date.day} {month} {date.year}"

    return say
