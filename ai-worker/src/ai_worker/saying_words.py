"""The words of each language for what is written in figures and signs, as people say them."""

from __future__ import annotations

import datetime
from typing import Protocol


class Words(Protocol):
    """One language. Small numbers stay figures: every voice reads "15" right, few read "€15" or "0184800000"."""

    signs: dict[str, str]
    """What is said for a sign: in addresses (. @ - _ /), and for & # % +."""
    to: str
    """Between the two ends of a span of time."""
    units: dict[str, tuple[str, str]]
    """By their sign: singular and plural."""

    def digits(self, group: str) -> str:
        """A group of figures of a telephone number or a code."""
        ...

    def plural(self, number: str) -> bool:
        """Whether a thing of which there are so many is in the plural; `number` may have decimals."""
        ...

    def money(self, currency: str, whole: int, hundredths: int) -> str: ...

    def time(self, hour: int, minute: int, half_known: bool, /) -> str:
        """A time of day; with `half_known`, "am" or "pm" follows."""
        ...

    def date(self, date: datetime.date) -> str: ...


_ENGLISH_SIGNS = {
    ".": "dot", "@": "at", "-": "dash", "_": "underscore", "/": "slash", ":": "colon", "?": "question mark",
    "=": "equals", "&": "and", "#": "number", "%": "percent", "+": "plus", "~": "tilde",
}  # fmt: skip
_ENGLISH_UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"), "mph": ("mile per hour", "miles per hour"),
    "km": ("kilometer", "kilometers"), "cm": ("centimeter", "centimeters"), "mm": ("millimeter", "millimeters"),
    "kg": ("kilogram", "kilograms"), "ml": ("milliliter", "milliliters"), "m²": ("square meter", "square meters"),
    "°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "kWh": ("kilowatt hour", "kilowatt hours"), "GB": ("gigabyte", "gigabytes"), "MB": ("megabyte", "megabytes"),
}  # fmt: skip
_ENGLISH_CURRENCIES = {
    "€": ("euro", "euros", "cent", "cents"),
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
}
_FRENCH_SIGNS = {
    ".": "point", "@": "arobase", "-": "tiret", "_": "tiret bas", "/": "slash", ":": "deux-points",
    "?": "point d'interrogation", "=": "égal", "&": "et", "#": "numéro", "%": "pour cent", "+": "plus",
    "~": "tilde",
}  # fmt: skip
_FRENCH_UNITS = {
    "km/h": ("kilomètre par heure", "kilomètres par heure"), "km": ("kilomètre", "kilomètres"),
    "cm": ("centimètre", "centimètres"), "mm": ("millimètre", "millimètres"), "kg": ("kilo", "kilos"),
    "ml": ("millilitre", "millilitres"), "m²": ("mètre carré", "mètres carrés"),
    "°C": ("degré", "degrés"), "°F": ("degré Fahrenheit", "degrés Fahrenheit"),
    "kWh": ("kilowattheure", "kilowattheures"),
    "Go": ("gigaoctet", "gigaoctets"), "Mo": ("mégaoctet", "mégaoctets"),
}  # fmt: skip
_FRENCH_CURRENCIES = {
    "€": ("euro", "euros", "centime", "centimes"),
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("livre", "livres", "penny", "pence"),
}


class English:
    signs = _ENGLISH_SIGNS
    to = "to"
    units = _ENGLISH_UNITS
    _currencies = _ENGLISH_CURRENCIES
    _to_twenty = (
        "zero one two three four five six seven eight nine ten eleven twelve "
        "thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
    ).split()
    _tens = "- - twenty thirty forty fifty".split()
    _months = "January February March April May June July August September October November December".split()

    def digits(self, group: str) -> str:
        return " ".join(self._to_twenty[int(digit)] for digit in group)

    def plural(self, number: str) -> bool:
        return number != "1"

    def money(self, currency: str, whole: int, hundredths: int) -> str:
        one, many, part, parts = self._currencies[currency]
        main = f"{whole:,} {one if whole == 1 else many}"
        if not hundredths:
            return main
        rest = f"{hundredths} {part if hundredths == 1 else parts}"
        return f"{main} and {rest}" if whole else rest

    def time(self, hour: int, minute: int, half_known: bool, /) -> str:
        if hour in (0, 24) and not minute:
            return "midnight"
        half = "" if half_known or 1 <= hour <= 12 else " PM" if 12 < hour < 24 else " AM"
        said = self._under_sixty((hour + 11) % 12 + 1)
        if minute:
            said += f" {'oh ' if minute < 10 else ''}{self._under_sixty(minute)}"
        elif not half and not half_known:
            said += " o'clock"
        return said + half

    def date(self, date: datetime.date) -> str:
        teens = 10 < date.day < 20
        suffix = "th" if teens else {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10, "th")
        return f"{self._months[date.month - 1]} {date.day}{suffix}, {date.year}"

    def _under_sixty(self, number: int) -> str:
        if number < 20:
            return self._to_twenty[number]
        tens, ones = divmod(number, 10)
        return f"{self._tens[tens]}-{self._to_twenty[ones]}" if ones else self._tens[tens]


class French:
    signs = _FRENCH_SIGNS
    to = "à"
    units = _FRENCH_UNITS
    _currencies = _FRENCH_CURRENCIES
    _digits = "zéro un deux trois quatre cinq six sept huit neuf".split()
    _months = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()

    def digits(self, group: str) -> str:
        # In pairs, as numbers of two figures: "quatre-vingt-quatre", but "zéro un".
        if len(group) == 2 and group[0] != "0":
            return group
        return " ".join(self._digits[int(digit)] for digit in group)

    def plural(self, number: str) -> bool:
        return float(number.replace(",", ".")) >= 2

    def money(self, currency: str, whole: int, hundredths: int) -> str:
        one, many, part, parts = self._currencies[currency]
        figures = str(whole) if whole < 1_000_000 else f"{whole:,}".replace(",", " ")
        if not hundredths:
            return f"{figures} {many if whole > 1 else one}"
        if not whole:
            return f"{hundredths} {parts if hundredths > 1 else part}"
        return f"{figures} {many if whole > 1 else one} {hundredths}"

    def time(self, hour: int, minute: int, _half_known: bool, /) -> str:
        return f"{hour} {'heures' if hour > 1 else 'heure'}" + (f" {minute}" if minute else "")

    def date(self, date: datetime.date) -> str:
        return f"{'premier' if date.day == 1 else date.day} {self._months[date.month - 1]} {date.year}"


class British(English):
    """English as it is spoken everywhere but in the United States."""

    def date(self, date: datetime.date) -> str:
        month, day = super().date(date).split(",")[0].split()
        return f"{day} {month} {date.year}"


LANGUAGES: dict[str, Words] = {"en": English(), "fr": French()}
_BRITISH = British()
ORDINALS = {
    "1er": "premier", "1re": "première", "1ère": "première", "2e": "deuxième", "3e": "troisième", "4e": "quatrième",
    "5e": "cinquième", "6e": "sixième", "7e": "septième", "8e": "huitième", "9e": "neuvième", "10e": "dixième",
}  # fmt: skip
"""French ones; English ones are read right as they are written."""


def words_of(language: str) -> Words | None:
    """`language` in lower case, with or without a region; None for one that we have no words of."""
    code, _, region = language.partition("-")
    return _BRITISH if code == "en" and region not in ("", "us") else LANGUAGES.get(code)
