"""The entries on `streamer:{id}:commands`: what a worker asks of the streamer that holds its call's media session.

Every command carries the call's epoch: the streamer drops those of an older epoch, so that a worker that was only
paused can't speak over its successor. Within an epoch, a worker numbers its commands: an outage of Redis that swallows
an answer makes it send again what has arrived, and the streamer drops the numbers that it has seen. `action_id` names
what must not happen twice; it stays the same when a successor asks again. Where calls are traced, an entry may also
carry the sender's span: see callbus.otlp.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias

from callbus.errors import BadMessage


@dataclass(frozen=True, slots=True)
class Speak:
    """Audio of `segment` (one sentence): s16le mono at the session's rate. `last` says that the segment is whole."""

    call_id: str
    epoch: int
    segment: str
    pcm: bytes
    last: bool


@dataclass(frozen=True, slots=True)
class Break:
    """Silence at once: `break` on the wire, and nothing of what waited is played. Answered by `cut` and `idle`."""

    call_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A new worker holds the call: drop what is not on the wire yet, of whatever epoch; what is, plays to its end.

    Answered by `cut` for what was dropped and by `idle` when nothing is playing (any more).
    """

    call_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Play:
    """Let the media server fetch and play the file at `url` (http or https)."""

    call_id: str
    epoch: int
    action_id: str
    url: str


@dataclass(frozen=True, slots=True)
class Digits:
    """Press digits: 0-9 * # A-D."""

    call_id: str
    epoch: int
    action_id: str
    digits: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Transfer the call to `number` (E.164 without +, or an internal one)."""

    call_id: str
    epoch: int
    action_id: str
    number: str


@dataclass(frozen=True, slots=True)
class Hangup:
    """End the bot's part: close the media connection (1000)."""

    call_id: str
    epoch: int
    action_id: str


@dataclass(frozen=True, slots=True)
class Record:
    """Keep (or don't keep) a recording of this call, from the start of its media session."""

    call_id: str
    epoch: int
    on: bool


@dataclass(frozen=True, slots=True)
class Detach:
    """From another streamer: the call's media came back there; close `session` here, without ending the call."""

    call_id: str
    epoch: int
    session: str


Command: TypeAlias = Speak | Break | TakeOver | Play | Digits | Transfer | Hangup | Record | Detach

_KINDS: dict[bytes, type[Break | TakeOver | Play | Digits | Transfer | Hangup | Record | Detach]] = {
    cls.__name__.lower().encode(): cls for cls in (Break, TakeOver, Play, Digits, Transfer, Hangup, Record, Detach)
}


def encode(command: Command, number: int = 0) -> dict[bytes, bytes]:
    """The command as the fields of a stream entry. `number` counts the sender's commands from 1; 0: it has none."""
    counted = {b"n": b"%d" % number} if number else {}
    if isinstance(command, Speak):
        head = f"{command.epoch} {int(command.last)} {command.segment}"
        return {b"k": b"speak", b"c": command.call_id.encode(), b"h": head.encode(), b"d": command.pcm, **counted}
    kind = type(command).__name__.lower().encode()
    return {b"k": kind, b"j": json.dumps(asdict(command), separators=(",", ":")).encode(), **counted}


def number_of(entry: Mapping[bytes, bytes]) -> int:
    """The number in the fields of a stream entry, 0 without one. Raises BadMessage."""
    try:
        return int(entry.get(b"n", 0))
    except ValueError as error:
        raise BadMessage(f"not a command's number: {entry[b'n'][:20]!r}") from error


def decode(entry: Mapping[bytes, bytes]) -> Command:
    """The fields of a stream entry as a command. Raises BadMessage."""
    try:
        if entry[b"k"] == b"speak":
            epoch, last, segment = entry[b"h"].decode().split(" ", 2)
            return Speak(entry[b"c"].decode(), int(epoch), segment, entry[b"d"], last == "1")
        cls = _KINDS[entry[b"k"]]
        values: dict[str, Any] = json.loads(entry[b"j"])
        if set(values) != {field.name for field in fields(cls)}:
            raise ValueError(f"fields {sorted(values)}")
        return cls(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise BadMessage(f"not a command: {error!r} in fields {sorted(entry)!r}") from error
