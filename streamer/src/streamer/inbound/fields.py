"""Finds the call's id and numbers in metadata, whatever fields the operator has configured."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from callbus.errors import BadCallId
from callbus.keys import clean_call_id

DEEPEST_FIELD = 4
MOST_FIELDS = 500

_CALL_ID = ("callid", "calluuid", "uuid", "id")
_FROM = ("fromnumber", "from", "callernumber", "calleridnumber", "callerid", "caller", "callingnumber", "ani", "cli")
_TO = ("tonumber", "to", "calleenumber", "callee", "callednumber", "called", "destinationnumber", "destination", "dnis")
_ANYONES = frozenset(("uuid", "id"))
"""Names that any object may carry: the call's own only at the top, or in an object that is about the call."""
_ABOUT_THE_CALL = frozenset(("", "call", "data", "metadata", "meta", "payload", "start", "session"))
_NUMBER = ("number", "phonenumber", "phone", "e164", "uri", "value")

_SIP = re.compile(r"(?:sips?|tel):([^@;>]*)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s.()/-]+")
_DIGITS = re.compile(r"\+?([0-9]{1,20})")


class CallFields(NamedTuple):
    """What metadata says about the call; None where it says nothing. Numbers are digits only."""

    call_id: str | None
    from_number: str | None
    to_number: str | None


def call_fields(message: Any) -> CallFields:
    """Look through a JSON value. Case, `_` and `-` in names don't count. Better names win, then shallower ones."""
    call_ids: dict[str, str] = {}
    from_numbers: dict[str, str] = {}
    to_numbers: dict[str, str] = {}
    for parent, name, value in _fields(message):
        if name in _CALL_ID and (name not in _ANYONES or parent in _ABOUT_THE_CALL):
            _keep(call_ids, name, call_id(value))
        elif name in _FROM:
            _keep(from_numbers, name, number(value))
        elif name in _TO:
            _keep(to_numbers, name, number(value))
    return CallFields(_best(_CALL_ID, call_ids), _best(_FROM, from_numbers), _best(_TO, to_numbers))


def call_id(value: Any) -> str | None:
    """A call id as a string, or None if the value can't be one."""
    if not isinstance(value, str | int):
        return None
    try:
        return clean_call_id(value)
    except BadCallId:
        return None


def number(value: Any) -> str | None:
    """A phone number as digits (`+` and separators dropped, SIP and tel URIs read), or None if the value is none."""
    if isinstance(value, dict):
        inner = {_plain(name): part for name, part in value.items()}
        value = next((inner[name] for name in _NUMBER if isinstance(inner.get(name), str | int)), None)
    if isinstance(value, bool) or not isinstance(value, str | int) or (isinstance(value, int) and value < 0):
        return None
    text = str(value)[:200]
    uri = _SIP.search(text)
    digits = _DIGITS.fullmatch(_SEPARATORS.sub("", uri[1] if uri else text))
    return digits[1] if digits else None


def _fields(message: Any) -> Iterator[tuple[str, str, Any]]:
    """Each field as (the name of the object that holds it, its own name, its value), the shallowest first."""
    level: list[tuple[str, Any]] = [("", message)]
    left = MOST_FIELDS
    for _ in range(DEEPEST_FIELD):
        below: list[tuple[str, Any]] = []
        for parent, container in level:
            if isinstance(container, list):
                below += [(parent, item) for item in container[:left]]
                continue
            for key, value in container.items() if isinstance(container, dict) else ():
                if not left:
                    return
                left -= 1
                name = _plain(key)
                yield parent, name, value
                below.append((name, value))
        level = below


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _keep(found: dict[str, str], name: str, value: str | None) -> None:
    if value is not None:
        found.setdefault(name, value)


def _best(names: tuple[str, ...], found: dict[str, str]) -> str | None:
    return next((found[name] for name in names if name in found), None)
