"""Which call a media connection belongs to that names no call, only the numbers of the two who speak."""

from __future__ import annotations

import time
from dataclasses import dataclass

from callbus import calls, keys
from callbus.broker import Broker

CLAIM_S = 3.0
"""A connection that was given a call has so long to join it; then another may be given it."""
MEDIA_SILENT_S = 5.0
"""A connection that has brought nothing for so long (its streamer died, say) keeps nobody out of its call. A living one
brings audio 50 times a second."""
_FIELDS = (
    "state",
    "media",
    "conversation",
    "outcome",
    "first_seen",
    "ringing_at",
    "answered_at",
    "finished_at",
    "hung_up_at",
    "knocked_at",
)

# KEYS: call hash, call's in stream; ARGV: now, claim s, media silent s
_CLAIM = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[1], 'media') == 'connected' then
  local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
  local time = redis.call('TIME')
  local now_ms = time[1] * 1000 + time[2] / 1000
  if last and now_ms - string.match(last[1], '%d+') < ARGV[3] * 1000 then return 0 end
end
local claimed = redis.call('HGET', KEYS[1], 'media_claimed_at')
if claimed and tonumber(ARGV[1]) - tonumber(claimed) < tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'media_claimed_at', ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Match:
    """The call that was found, if any. `taken`: there are calls between these numbers, and each has its media."""

    call_id: str | None
    taken: bool = False


async def claim(broker: Broker, from_number: str, to_number: str) -> Match:
    """The oldest live call between two numbers (digits only) whose media is not connected, for one who asks alone.

    A call that the bot has left waits behind those that want it. One on which it hung up moments ago is found only when
    there is no other: who comes back at once after that is to hear that the call is over, not a new greeting.
    """
    now = time.time()
    wanted, left, over = _sorted(await _live(broker, from_number, to_number), now)
    for call_id in [*wanted, *left]:
        if await broker.script(
            _CLAIM, [keys.call(call_id), keys.media_in(call_id)], [f"{now:.3f}", CLAIM_S, MEDIA_SILENT_S]
        ):
            return Match(call_id)
    return Match(over[-1] if over and not wanted else None, taken=bool(wanted))


async def linked(broker: Broker, from_number: str, to_number: str, *, to: str) -> str | None:
    """The call that a connection on the call `to` seems to belong to, told late by its numbers; it is not claimed."""
    live = await _live(broker, from_number, to_number)
    wanted, _, _ = _sorted(live, time.time())
    free = [call_id for call_id in wanted if live[call_id].get("media") != "connected"]
    return None if to in live or not free else free[0]


async def _live(broker: Broker, from_number: str, to_number: str) -> dict[str, dict[str, str]]:
    """The calls between these numbers, the oldest first, not told to be over by Ringover: what matters of each."""
    index = keys.by_numbers(from_number, to_number)
    ids = [call_id.decode() for call_id in await broker.execute("ZRANGE", index, 0, -1)]
    if not ids:
        return {}
    rows = await broker.pipeline([("HMGET", keys.call(call_id), *_FIELDS) for call_id in ids])
    found = {
        call_id: {name: value.decode() for name, value in zip(_FIELDS, row, strict=True) if value is not None}
        for call_id, row in zip(ids, rows, strict=True)
    }
    # An end that was told before its beginning, or a call that has expired.
    if gone := [call_id for call_id, call in found.items() if call.get("state") not in ("ringing", "answered")]:
        await broker.execute("ZREM", index, *gone)
    return {call_id: call for call_id, call in found.items() if call_id not in gone}


def _sorted(live: dict[str, dict[str, str]], now: float) -> tuple[list[str], list[str], list[str]]:
    """Those whose media is or may still be expected, those that the bot has left, and those it hung up on just now."""
    wanted, left, over = [], [], []
    for call_id, call in live.items():
        if call.get("conversation") == "finished":
            if call.get("outcome") in ("failed", "transferred"):
                left.append(call_id)
            elif call.get("outcome") == "bot_ended" and _lately(call, "finished_at", now):
                over.append(call_id)
        elif _lately(call, "hung_up_at", now):
            over.append(call_id)
        elif calls.is_active(call, now=now):
            wanted.append(call_id)
    return wanted, left, over


def _lately(call: dict[str, str], name: str, now: float) -> bool:
    at = max((float(call[field]) for field in (name, "knocked_at") if field in call), default=0.0)
    return now - at < keys.RECONNECT_WINDOW_S
