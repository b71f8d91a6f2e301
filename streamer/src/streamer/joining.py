"""How a media session enters its call in Redis, and how the others hear of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from callbus import calls, commands, keys, sessions
from callbus.broker import Broker, until_available, xadd


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
