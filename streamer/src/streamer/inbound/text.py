"""Reads text messages: the specification's JSON dialect, key presses, and metadata of any shape."""

import binascii
import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn

from streamer.inbound.events import CallEnd, CallStart, Dtmf, Event, Metadata, UnknownText, Unreadable
from streamer.inbound.fields import call_fields

DEEPEST_JSON = 32
"""Nesting that is still read. Real metadata has two or three levels; what is passed on is written as JSON again."""
MOST_VALUES = 5000
"""Values in one message, about. Reading 1 MiB of brackets takes a second, in which no call would be served."""
LONGEST_INTEGER = 40
"""Digits of a number that is still read as one: the time to read it grows with their square."""
MOST_KEYS = 32
"""Key presses in one message."""

_KEYS = frozenset("0123456789*#ABCD")
_KEY_FIELDS = ("digit", "digits", "dtmf", "key", "value")


@dataclass(frozen=True, slots=True)
class AudioPayload:
    """The bytes of an `audio_data` message: to be read like a binary message."""

    data: bytes


def parse_text(text: str) -> list[Event] | AudioPayload:
    """Read one text message.

    An object with an unknown `event` or `type` and without any of the call's fields is UnknownText, as is anything that
    is no JSON; text that begins like JSON and is none, or nests too deep, or holds too much, is Unreadable.
    """
    if not text.lstrip().startswith(("{", "[")):
        return [UnknownText(text)]
    if sum(map(text.count, "[{,")) > MOST_VALUES:
        return [Unreadable(f"JSON of more than {MOST_VALUES} values")]
    try:
        message = json.loads(text, parse_constant=_no_number, parse_float=_finite, parse_int=_integer)
    except RecursionError:
        return [_too_deep()]
    except ValueError as error:
        return [Unreadable(f"text that begins like JSON and can't be read: {error}")]
    if _deeper_than(message, DEEPEST_JSON):
        return [_too_deep()]
    if isinstance(message, dict):
        return _object(message, text)
    found = call_fields(message)
    return [Metadata(*found, raw={"list": message})] if any(found) else [UnknownText(text)]


def _object(message: dict[str, Any], text: str) -> list[Event] | AudioPayload:
    kind = next((message[name].lower() for name in ("event", "type") if isinstance(message.get(name), str)), None)
    match kind:
        case "audio_data":
            return _audio(message.get("data"))
        case "call_start":
            found = call_fields(message)
            start = CallStart(found.call_id, message)
            numbers = found.from_number or found.to_number
            return [start, Metadata(*found, raw=message)] if numbers else [start]
        case "call_end":
            return [CallEnd(call_fields(message).call_id)]
        case "dtmf" | "digit":
            keys = _keys(message)
            return list(map(Dtmf, keys)) if keys else [Unreadable("a DTMF message without a key: expected 0-9 * # A-D")]
        case None if "dtmf" in message and (keys := _keys(message)):
            return list(map(Dtmf, keys))
    found = call_fields(message)
    if kind is None or any(found):
        return [Metadata(*found, raw=message)]
    return [UnknownText(text)]


def _audio(data: object) -> list[Event] | AudioPayload:
    if not isinstance(data, str):
        return [Unreadable("audio_data without data: expected base64 in a string")]
    try:
        return AudioPayload(binascii.a2b_base64(data + "=" * (-len(data) % 4), strict_mode=True))
    except ValueError as error:
        return [Unreadable(f"audio_data is no base64: {error}")]


def _keys(message: dict[str, Any]) -> str:
    """The keys in a DTMF message, wherever it has them; empty if there are none."""
    places = [message, *(message[name] for name in ("data", "dtmf") if isinstance(message.get(name), dict))]
    for place in places:
        for name in _KEY_FIELDS:
            value = place.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                value = str(value)
            if isinstance(value, str):
                keys = value.strip().upper()
                if 0 < len(keys) <= MOST_KEYS and _KEYS.issuperset(keys):
                    return keys
    data = message.get("data")
    return _keys({"digit": data}) if isinstance(data, str | int) else ""


def _deeper_than(value: Any, depth: int) -> bool:
    """Whether containers nest deeper than that. Level by level, not by recursion: the stack is what it protects."""
    level = [value]
    for _ in range(depth + 1):
        level = [
            child
            for container in level
            if isinstance(container, dict | list)
            for child in (container.values() if isinstance(container, dict) else container)
        ]
    return bool(level)


def _too_deep() -> Unreadable:
    return Unreadable(f"JSON nested more than {DEEPEST_JSON} levels deep")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > LONGEST_INTEGER:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:20]} does not fit a number")
    return number
