"""Placeholders in an agent's texts: `{caller_number}`, `{user_firstname|there}`; what a call puts in their place."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, StringConstraints

from ai_worker.agent_fields import Misplaced, Text
from ai_worker.conversation.scripted import misplaced_mark

CALL_FIELDS: Final = (
    "caller_number",
    "called_number",
    "user_name",
    "user_firstname",
    "user_lastname",
    "user_email",
    "ivr_scenario",
    "ivr_name",
    "ivr_number",
)
LONGEST_VALUE = 100
"""Characters of a call's value: a name of a thousand words is no name."""

_NUMBERS = frozenset({"caller_number", "called_number", "ivr_number"})
_BRACE = re.compile(r"\{\{|\}\}|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\|(?P<otherwise>[^{}]*))?\}|\{[^{}]*\}?|\}")
_GAP_AND_PLACEHOLDER = re.compile(
    r"\{\{|\}\}|(?P<gap>[ \t]*)\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\|(?P<otherwise>[^{}]*))?\}"
)
_MARKUP = re.compile(r"[{}<>\[\]`|]")


def check(text: str, known: tuple[str, ...] = CALL_FIELDS) -> str:
    """The text, if each of its braces is doubled or around a known name. Raises Misplaced."""
    for found in _BRACE.finditer(text):
        if found[0] in ("{{", "}}") or found["name"] in known:
            continue
        if found["name"]:
            raise Misplaced((), f"{found[0]} is unknown here; known are {', '.join(known)}", within=found[0])
        raise Misplaced((), f"{found[0]!r} is no placeholder; write {{{{ or }}}} for a brace", within=found[0])
    return text


def check_marks(text: str) -> str:
    """The text, if each << has its >>. Raises Misplaced."""
    if mark := misplaced_mark(text):
        raise Misplaced((), f"{mark} has no partner: what can't be interrupted stands in << >>", within=mark)
    return text


Spoken = Annotated[Text, AfterValidator(check), AfterValidator(check_marks)]
"""A text that is said, with placeholders; what stands in << >> can't be interrupted."""

Instructions = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000), AfterValidator(check)
]


def names_in(text: str) -> tuple[str, ...]:
    """The names of a text's placeholders."""
    return tuple(found["name"] for found in _BRACE.finditer(text) if found["name"])


def is_fixed(text: str) -> bool:
    """Whether a text is the same in every call."""
    return not names_in(text)


def call_values(call: Mapping[str, str]) -> dict[str, str]:
    """What `CALL_FIELDS` are in a call, from its hash (as the webhooks wrote it): one line of bare words each, "" when
    it is not known.
    """
    user, ivr = _object(call.get("user")), _object(call.get("ivr"))
    first, last = _plain(user.get("firstname")), _plain(user.get("lastname"))
    return {
        "caller_number": _digits(call.get("from_number")),
        "called_number": _digits(call.get("to_number")),
        "user_name": f"{first} {last}".strip(),
        "user_firstname": first,
        "user_lastname": last,
        "user_email": _plain(user.get("email")),
        "ivr_scenario": _plain(ivr.get("scenario_name")),
        "ivr_name": _plain(ivr.get("ivr_name")),
        "ivr_number": _digits(ivr.get("number")),
    }


def fill_spoken(text: str, values: Mapping[str, str]) -> str:
    """The text as it is said: numbers digit by digit; a value that is missing leaves no hole in the sentence."""

    def put(found: re.Match[str]) -> str:
        if (name := found["name"]) is None:
            return found[0][0]
        value = values.get(name, "")
        if name in _NUMBERS:
            value = digit_by_digit(value)
        value = value or (found["otherwise"] or "").strip()
        return found["gap"] + value if value else ""

    return _GAP_AND_PLACEHOLDER.sub(put, text).strip().lstrip(",;: ")


def fill_written(text: str, values: Mapping[str, str]) -> str:
    """The text as the language model reads it: a value that is missing is "unknown"."""

    def put(found: re.Match[str]) -> str:
        if (name := found["name"]) is None:
            return found[0][0]
        return found["gap"] + (values.get(name) or (found["otherwise"] or "").strip() or "unknown")

    return _GAP_AND_PLACEHOLDER.sub(put, text)


def fill_plain(text: str, value_of: Callable[[str], str]) -> str:
    """The text with every placeholder's value in its place, once: what a value contains is never looked at again."""

    def put(found: re.Match[str]) -> str:
        return (value_of(found["name"]) or found["otherwise"] or "") if found["name"] else found[0][0]

    return _BRACE.sub(put, text)


def digit_by_digit(number: str) -> str:
    """`33612345678` as `3 3 6, 1 2 3, 4 5 6, 7 8`: threes, and no digit left alone at the end."""
    groups: list[str] = []
    rest = number
    while rest:
        size = 2 if len(rest) in (2, 4) else 3
        groups.append(" ".join(rest[:size]))
        rest = rest[size:]
    return ", ".join(groups)


def _object(written: str | None) -> Mapping[str, Any]:
    try:
        value = json.loads(written or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _plain(value: object) -> str:
    """One short line. Markup goes: to a template, a voice or a language model, a name is only a name."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    text = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text[: 4 * LONGEST_VALUE])
    return " ".join(_MARKUP.sub("", text).split())[:LONGEST_VALUE].strip()


def _digits(value: object) -> str:
    return re.sub(r"[^0-9]", "", _plain(value))[:32]
