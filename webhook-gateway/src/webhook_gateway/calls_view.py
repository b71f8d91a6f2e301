"""Calls as JSON, for those who may see them: the hash with its types back, and the transcript."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

from callbus import calls, keys, transcript
from callbus.broker import Broker
from callbus.errors import BadMessage

StateFilter: TypeAlias = Literal["ringing", "answered", "ended", "active"]

_BATCH = 200
_INTEGERS = frozenset({"epoch", "attempts", "sample_rate"})
_OBJECTS = frozenset({"user", "ivr"})
_NUMBERS = frozenset({"first_seen", "duration_s"})


def typed(call_id: str, call: Mapping[str, str]) -> dict[str, Any]:
    """A call's hash with numbers as numbers and objects as objects; the times are epoch seconds."""
    return {"call_id": call_id, **{name: _value(name, text) for name, text in sorted(call.items())}}


async def listing(broker: Broker, *, limit: int, state: StateFilter | None) -> list[dict[str, Any]]:
    """The newest calls first, at most `limit` of those in `state`. Raises BusUnavailable."""
    found: list[dict[str, Any]] = []
    async for call_id, call in _recent(broker):
        if len(found) == limit:
            break
        if state is None or (calls.is_active(call) if state == "active" else call.get("state") == state):
            found.append(typed(call_id, call))
    return found


async def detail(broker: Broker, call_id: str, *, after: str | None = None) -> dict[str, Any] | None:
    """A call with its transcript, or with what came after an entry of it; None for an unknown one.

    Raises BusUnavailable.
    """
    call = await calls.get(broker, call_id)
    if not call:
        return None
    entries = await broker.range(keys.transcript(call_id), f"({after}" if after else "-")
    return {**typed(call_id, call), "transcript": [entry(entry_id, fields) for entry_id, fields in entries]}


async def active_count(broker: Broker) -> int:
    """How many calls are going on. Raises BusUnavailable."""
    return sum([calls.is_active(call) async for _, call in _recent(broker)])


async def _recent(broker: Broker) -> AsyncIterator[tuple[str, dict[str, str]]]:
    ids = await calls.recent(broker, limit=keys.RECENT_MAX)
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        hashes = await broker.pipeline([("HGETALL", keys.call(call_id)) for call_id in batch])
        for call_id, call in zip(batch, hashes, strict=True):
            # The list outlives the calls in it.
            if call:
                yield call_id, {name.decode(): value.decode(errors="replace") for name, value in call.items()}


def _value(name: str, text: str) -> Any:
    try:
        if name in _INTEGERS:
            return int(text)
        if name in _NUMBERS or name.endswith("_at"):
            return float(text)
        if name in _OBJECTS:
            return json.loads(text)
    except ValueError:
        return text
    return text


def entry(entry_id: bytes, fields: Mapping[bytes, bytes]) -> dict[str, Any]:
    """An entry of a transcript: its id, its kind and what it says; `unreadable` tells why it can't be read."""
    head = {"id": entry_id.decode(), "kind": fields.get(b"k", b"").decode(errors="replace")}
    try:
        return {**head, **asdict(transcript.decode(fields))}
    except BadMessage as error:
        return {**head, "unreadable": str(error)}
