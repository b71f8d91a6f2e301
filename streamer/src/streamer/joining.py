"""How a media session finds its call, and enters it in Redis."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import structlog

from callbus import calls, commands, keys, sessions
from callbus.broker import Broker, until_available, xadd
from callbus.errors import BusUnavailable
from streamer.inbound import CallStart, Metadata

METADATA_WAIT_S = 0.4
"""Metadata usually comes first, but audio can come before it; longer than this, a caller must not wait."""
METADATA_MAX_BYTES = 16 << 10

log = structlog.get_logger()


def own_call_id() -> str:
    """An id for a call that nothing names."""
    return f"media-{uuid.uuid4()}"


async def identify(broker: Broker, told: asyncio.Future[Metadata | CallStart]) -> str:
    """The call's id from what the media server tells of it in the first moments, else one of its own."""
    try:
        async with asyncio.timeout(METADATA_WAIT_S):
            message = await told
            found = await _call_of(broker, message)
    except (TimeoutError, BusUnavailable):
        found = None
    return found or own_call_id()


async def note_metadata(broker: Broker, call_id: str, metadata: Metadata) -> None:
    """Keep what the media server told in the call's hash; where it names another call, as `linked_call_id`."""
    linked = await _call_of(broker, metadata)
    # Half of a surrogate pair (a name cut in an emoji's middle, written as an escape) can't be encoded again.
    text = json.dumps(metadata.raw, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    key = keys.call(call_id)
    numbers = (("from_number", metadata.from_number), ("to_number", metadata.to_number))
    await broker.pipeline(
        [
            *(("HSETNX", key, name, number) for name, number in numbers if number),
            *([("HSET", key, "metadata", text)] if len(text.encode()) <= METADATA_MAX_BYTES else []),
            *([("HSET", key, "linked_call_id", linked)] if linked and linked != call_id else []),
            ("EXPIRE", key, keys.CALL_TTL_S),
        ]
    )


async def _call_of(broker: Broker, message: Metadata | CallStart) -> str | None:
    if message.call_id or isinstance(message, CallStart):
        return message.call_id
    if message.from_number and message.to_number:
        found = await calls.find_by_numbers(broker, message.from_number, message.to_number)
        if found is None:
            log.info(
                "no live call between these numbers",
                from_number=message.from_number,
                to_number=message.to_number,
            )
        return found
    return None


@dataclass(frozen=True, slots=True)
class Entered:
    """How a session entered its call, and what the call's hash knows: the fence, and whether to record."""

    outcome: str
    epoch: int
    record: bool | None


async def enter(broker: Broker, call_id: str, *, streamer: str, session: str, sample_rate: int) -> Entered:
    """Attach the session to its call, waiting out an outage, and send away the session that held it elsewhere."""
    attached = await until_available(
        lambda: sessions.attach(broker, call_id, streamer=streamer, session=session, sample_rate=sample_rate)
    )
    if attached.outcome == "over":
        return Entered("over", 0, None)
    if attached.old_streamer not in ("", streamer):
        detach = commands.encode(commands.Detach(call_id, 0, attached.old_session))
        command = xadd(keys.commands(attached.old_streamer), detach, maxlen=keys.COMMANDS_MAXLEN, create=False)
        await until_available(lambda: broker.execute(*command))
    epoch, record = await until_available(lambda: broker.execute("HMGET", keys.call(call_id), "epoch", "record"))
    return Entered(attached.outcome, int(epoch or 0), None if record is None else record == b"1")


async def announce(broker: Broker, call_id: str, event: str, data: dict[str, Any]) -> None:
    """Publish a change of the call's media: connected, dropped or ended."""
    await calls.publish(
        broker, calls.LifecycleEvent("media", event, call_id, round(time.time(), 3), source="streamer", data=data)
    )
