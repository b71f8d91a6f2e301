"""How a media session enters its call in Redis, and how the others hear of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from callbus import calls, commands, keys, sessions
from callbus.broker import Broker, until_available, xadd


@dataclass(frozen=True, slots=True)
class Entered:
    """How a session entered its call, and what the call's hash knows: the fence, and whether to record.

    `failed`, `over` and `over for good`: not at all, for its conversation ended moments ago. Of one that failed the
    caller still waits; for one that is over for good nobody will, however often he comes back.
    """

    outcome: Literal["new", "resumed", "over", "over for good", "failed"]
    epoch: int
    record: bool | None
    held_by: str = ""
    """The session of this streamer that the call's hash still names, where this one has not entered."""


async def enter(
    broker: Broker, call_id: str, *, streamer: str, session: str, sample_rate: int, wanted: Callable[[], bool]
) -> Entered | None:
    """Attach the session to its call, waiting out an outage, and send away the session that held it elsewhere.

    None when it was not `wanted` any more before that, for its caller has gone: nobody is to serve them then.
    """

    async def attach() -> sessions.Attached | None:
        if not wanted():
            return None
        return await sessions.attach(broker, call_id, streamer=streamer, session=session, sample_rate=sample_rate)

    attached: sessions.Attached | None = await until_available(attach)
    if attached is None:
        return None
    if attached.outcome == "over":
        held_by = attached.old_session if attached.old_streamer == streamer else ""
        if attached.ended_as == "failed":
            return Entered("failed", 0, None, held_by)
        return Entered("over for good" if attached.ended_as in sessions.OVER else "over", 0, None, held_by)
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
