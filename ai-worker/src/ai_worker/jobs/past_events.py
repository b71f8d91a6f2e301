"""What `calls:events` still holds of calls and of people: found in one pass, erased entry by entry."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from callbus import keys
from callbus.broker import Broker
from callbus.errors import BadCallId

_PAGE = 500
_SIDES = {"received": "inbound", "sent": "outbound"}
"""Which way a message went, by its event's name."""


@dataclass(frozen=True, slots=True)
class PastEvents:
    """Ids of entries."""

    of_call: Mapping[str, list[bytes]] = field(default_factory=dict)
    """All that a call left, by its id."""
    calls: frozenset[str] = frozenset()
    """The calls with an entry that names the person."""
    others: tuple[bytes, ...] = ()
    """Those that name the person and belong to no call: messages."""


def theirs(wanted: str, direction: str | None, from_number: str | None, to_number: str | None) -> bool:
    """Whether the person on the other end has that number: on a call that came in, the line called is our own."""
    sides = {"inbound": (from_number,), "outbound": (to_number,)}.get(direction or "", (from_number, to_number))
    return any(_spelled(side or "") == wanted for side in sides)


async def find(broker: Broker, wanted: str | None = None) -> PastEvents:
    """Read the stream once; with `wanted` (digits with the country code), for that person. Raises BusUnavailable."""
    of_call: defaultdict[str, list[bytes]] = defaultdict(list)
    calls, others = set[str](), list[bytes]()
    start: str | bytes = "-"
    while page := await broker.range(keys.EVENTS, start, count=_PAGE):
        for entry_id, fields in page:
            call_id = _call_of(fields)
            if call_id:
                of_call[call_id].append(entry_id)
            if wanted and call_id not in calls and _names(fields, wanted):
                if call_id:
                    calls.add(call_id)
                else:
                    others.append(entry_id)
        start = b"(" + page[-1][0]
    return PastEvents(of_call, frozenset(calls), tuple(others))


async def erase(broker: Broker, entries: Iterable[bytes]) -> None:
    """Delete them from the stream. Raises BusUnavailable."""
    left = list(entries)
    while left:
        await broker.execute("XDEL", keys.EVENTS, *left[:_PAGE])
        left = left[_PAGE:]


def _call_of(fields: Mapping[bytes, bytes]) -> str:
    """The call's id; "" for none, or one that can't be a call's: it would be the name of a folder."""
    try:
        return keys.clean_call_id(fields.get(b"call_id", b"").decode())
    except (BadCallId, UnicodeDecodeError):
        return ""


def _names(fields: Mapping[bytes, bytes], wanted: str) -> bool:
    try:
        data = json.loads(fields.get(b"data") or b"{}")
    except ValueError:
        return False
    sides = (data.get("from_number"), data.get("to_number")) if isinstance(data, dict) else ()
    if not any(sides):
        return any(_spelled(text) == wanted for text in _texts(data))
    direction = data.get("direction") or _SIDES.get(fields.get(b"event", b"").decode(errors="replace"))
    return theirs(wanted, direction, *(str(side or "") for side in sides))


def _texts(value: Any) -> Iterator[str]:
    """All texts and whole numbers in a JSON value: an event of a form that nobody knows may name somebody anywhere."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, int) and not isinstance(value, bool):
        yield str(value)
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _spelled(number: str) -> str:
    return re.sub(r"\D", "", number).removeprefix("00")
