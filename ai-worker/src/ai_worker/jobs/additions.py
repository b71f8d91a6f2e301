"""What is added to a call's record after the call: a summary, and Ringover's aftercall events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydantic import ValidationError

from ai_worker.jobs.record import AfterCall, CallRecord
from ai_worker.jobs.summary import Summary, conversation_digest
from callbus import keys
from callbus.broker import Broker

MOST_EVENTS = 200
"""The newest aftercall events are kept."""


@dataclass(frozen=True, slots=True)
class Additions:
    """What Redis knows of them."""

    aftercall: tuple[AfterCall, ...]
    summary: Summary | None

    @classmethod
    async def of(cls, broker: Broker, call_id: str) -> Self:
        """Raises BusUnavailable."""
        stored = await broker.hash(keys.aftercall(call_id))
        events = tuple(AfterCall.model_validate_json(event) for event in stored.values())
        return cls(events, await stored_summary(broker, call_id))


async def stored_summary(broker: Broker, call_id: str) -> Summary | None:
    """What was written of a call, if Redis still knows it."""
    stored = await broker.execute("GET", keys.summary(call_id))
    try:
        return Summary.model_validate_json(stored) if stored else None
    except ValidationError:
        return None


async def keep_aftercall(broker: Broker, call_id: str, entry_id: str, event: AfterCall) -> None:
    """Keep an event until the record is written with it; `entry_id` is its entry on `calls:events`."""
    key = keys.aftercall(call_id)
    await broker.pipeline(
        [("HSET", key, entry_id, event.model_dump_json()), ("EXPIRE", key, keys.CALL_TTL_S)],
    )


async def keep_longer(broker: Broker, call_id: str) -> None:
    """Keep what is to be added for another while: the record can't be written yet. Raises BusUnavailable."""
    await broker.pipeline([("EXPIRE", key(call_id), keys.CALL_TTL_S) for key in (keys.aftercall, keys.summary)])


def with_additions(record: CallRecord, additions: Additions, earlier: CallRecord | None) -> CallRecord:
    """The record with what Redis knows, and with what the `earlier` record knew and Redis has forgotten."""
    events: list[AfterCall] = []
    for event in (*(earlier.aftercall if earlier else ()), *additions.aftercall):
        if event not in events:
            events.append(event)
    events.sort(key=lambda event: event.at)
    values: dict[str, object] = {"aftercall": events[-MOST_EVENTS:]}
    summary, now = additions.summary, conversation_digest(record)
    if summary and summary.of == now:
        values |= {"summary": summary.summary, "labels": summary.labels, "caller_wish": summary.wish}
    elif earlier and conversation_digest(earlier) == now:
        values |= {"summary": earlier.summary, "labels": earlier.labels, "caller_wish": earlier.caller_wish}
    return record.model_copy(update=values)
