"""A call that is over, as the other services leave it in Redis."""

from __future__ import annotations

import time

from callbus import calls, keys, transcript
from callbus.broker import Broker

ENTRIES: list[transcript.Entry] = [
    transcript.Claimed(101.7, "w1", 1, "library"),
    transcript.BotSays(101.8, "s1", "Hello."),
    transcript.BotHeard(103.0, "s1", "Hello.", False, 102.1),
    transcript.CallerSaid(106.0, 104.0, 1, "Café hours?", "5-0"),
    transcript.Finished(113.0, "caller_left", "the caller hung up"),
]


async def write_transcript(broker: Broker, call_id: str, entries: list[transcript.Entry] = ENTRIES) -> None:
    key = keys.transcript(call_id)
    for entry in entries:
        await broker.append(key, transcript.encode(entry), maxlen=keys.TRANSCRIPT_MAXLEN)
    await broker.execute("EXPIRE", key, keys.CALL_TTL_S)


async def finished_call(broker: Broker, call_id: str, *, media: str = "ended") -> None:
    """A call whose conversation is over, and whose media ended a while ago (unless `media` is "connected")."""
    await calls.update(
        broker,
        call_id,
        direction="inbound",
        from_number="33612345678",
        to_number="33184800000",
        sample_rate=8000,
        media=media,
        media_at=101.6,
        claimed_at=101.7,
        media_ended_at=time.time() - 60 if media == "ended" else None,
    )
    await write_transcript(broker, call_id)
