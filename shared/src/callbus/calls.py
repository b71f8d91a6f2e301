"""The call's hash and the lifecycle events on `calls:events`: who may change what, in one atomic step each."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Literal

from callbus import keys
from callbus.broker import Broker, xadd

WITHOUT_MEDIA_S = 300.0
"""A call whose audio never came here counts as going on for so long after it was first heard of, rang or was answered:
it may be people who speak to each other, and the webhook of its end may be lost."""

Resource = Literal["call", "aftercall", "message", "media", "conversation"] | str


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """One change in a call's life, as it stands on `calls:events`.

    `resource` and `event` are Ringover's words for webhooks (`call`/`ringing`, …); `media` is the streamer's
    (`connected`, `dropped`, `ended`), `conversation` the worker's (`claimed`, `finished`).
    `timestamp` is epoch seconds.
    """

    resource: str
    event: str
    call_id: str
    timestamp: float
    channel_id: str = ""
    source: str = "gateway"
    data: Mapping[str, Any] = field(default_factory=dict)

    def fields(self) -> dict[bytes, bytes]:
        return {
            b"resource": self.resource.encode(),
            b"event": self.event.encode(),
            b"call_id": self.call_id.encode(),
            b"channel_id": self.channel_id.encode(),
            b"timestamp": b"%.3f" % self.timestamp,
            b"source": self.source.encode(),
            b"data": json.dumps(self.data, separators=(",", ":"), ensure_ascii=False).encode(),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[bytes, bytes]) -> LifecycleEvent:
        text = {name.decode(): value.decode() for name, value in fields.items()}
        return cls(
            resource=text["resource"],
            event=text["event"],
            call_id=text["call_id"],
            timestamp=float(text["timestamp"]),
            channel_id=text.get("channel_id", ""),
            source=text.get("source", ""),
            data=json.loads(text.get("data") or "{}"),
        )


# KEYS: delivery, calls:events, call hash, calls:recent, live calls between the event's numbers (the hash: it has none)
# ARGV: dedup ttl s, call ttl s, events maxlen, recent max, now, state ('' leaves it alone), call id,
#       what the names of calls between numbers begin with, how many of them, number of hash fields that only an empty
#       place takes, then name/value pairs of those, then pairs that overwrite, then '--' and the event's fields
_PUBLISH = """
if not redis.call('SET', KEYS[1], '1', 'NX', 'EX', ARGV[1]) then return 0 end
local rank = {ringing = 1, answered = 2, ended = 3}
local once = tonumber(ARGV[10])
local i = 11
if ARGV[7] ~= '' then
  local current = redis.call('HGET', KEYS[3], 'state')
  local state = ARGV[6]
  if state ~= '' and (not current or rank[state] > (rank[current] or 0)) then
    redis.call('HSET', KEYS[3], 'state', state)
  end
  for _ = 1, once do redis.call('HSETNX', KEYS[3], ARGV[i], ARGV[i + 1]); i = i + 2 end
  while ARGV[i] ~= '--' do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]); i = i + 2 end
  redis.call('HSETNX', KEYS[3], 'first_seen', ARGV[5])
  redis.call('EXPIRE', KEYS[3], ARGV[2])
  redis.call('ZADD', KEYS[4], 'NX', ARGV[5], ARGV[7])
  redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -tonumber(ARGV[4]) - 1)
  redis.call('EXPIRE', KEYS[4], ARGV[2])
  if state ~= '' then
    local between = KEYS[5]
    if redis.call('HGET', KEYS[3], 'state') == 'ended' then
      local numbers = redis.call('HMGET', KEYS[3], 'from_number', 'to_number')
      if between == KEYS[3] then between = ARGV[8] .. (numbers[1] or '') .. ':' .. (numbers[2] or '') end
      redis.call('ZREM', between, ARGV[7])
    elseif between ~= KEYS[3] then
      redis.call('ZADD', between, 'NX', ARGV[5], ARGV[7])
      redis.call('ZREMRANGEBYRANK', between, 0, -tonumber(ARGV[9]) - 1)
      redis.call('EXPIRE', between, ARGV[2])
    end
  end
else
  i = i + 2 * once
  while ARGV[i] ~= '--' do i = i + 2 end
end
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, i + 1))
return 1
"""


async def publish_webhook(
    broker: Broker,
    event: LifecycleEvent,
    *,
    delivery: str,
    state: Literal["ringing", "answered", "ended"] | None,
    once: Mapping[str, str],
    latest: Mapping[str, str],
) -> bool:
    """Publish one webhook's event and bring the call's hash up to date; False for a delivery that was published before.

    `delivery` is the digest that repetitions share. `state` is what the event says of the call (None: nothing); a state
    never goes back, whatever the order of arrival. `once` are hash fields that the first writer sets (numbers, times),
    `latest` those that the last one does. An event without a call (a message, say) has the call id "".
    """
    numbers = (once.get("from_number", ""), once.get("to_number", ""))
    call_key = keys.call(event.call_id) if event.call_id else keys.EVENTS
    index = keys.by_numbers(*numbers) if state and all(numbers) else call_key
    flat_event = [part for pair in event.fields().items() for part in pair]
    published = await broker.script(
        _PUBLISH,
        [keys.delivery(delivery), keys.EVENTS, call_key, keys.RECENT, index],
        [
            keys.DEDUP_TTL_S,
            keys.CALL_TTL_S,
            keys.EVENTS_MAXLEN,
            keys.RECENT_MAX,
            f"{time.time():.3f}",
            state or "",
            event.call_id,
            keys.BY_NUMBERS,
            keys.BY_NUMBERS_MAX,
            len(once),
            *(part for pair in once.items() for part in pair),
            *(part for pair in latest.items() for part in pair),
            "--",
            *flat_event,
        ],
    )
    return bool(published)


async def publish(broker: Broker, event: LifecycleEvent) -> None:
    """Publish a change that the streamer or a worker knows of."""
    await broker.execute(*xadd(keys.EVENTS, event.fields(), maxlen=keys.EVENTS_MAXLEN))


async def update(broker: Broker, call_id: str, **fields: object) -> None:
    """Set fields of the call's hash (None deletes) and renew its life. For fields that one service alone writes."""
    key = keys.call(call_id)
    gone = [name for name, value in fields.items() if value is None]
    kept = [part for name, value in fields.items() if value is not None for part in (name, _text(value))]
    commands: list[tuple[Any, ...]] = [("EXPIRE", key, keys.CALL_TTL_S)]
    if kept:
        commands.insert(0, ("HSET", key, *kept))
    if gone:
        commands.insert(0, ("HDEL", key, *gone))
    await broker.pipeline(commands)


async def get(broker: Broker, call_id: str) -> dict[str, str]:
    """The call's hash; empty for an unknown call."""
    return await broker.hash(keys.call(call_id))


def is_active(call: Mapping[str, Any], *, now: float | None = None) -> bool:
    """Whether someone is on the line, as far as a call's hash tells at `now` (epoch s; None: at this moment)."""
    if call.get("conversation") == "finished" or call.get("media") == "ended":
        return False
    if "state" not in call:
        return call.get("media") == "connected"
    if call["state"] not in ("ringing", "answered"):
        return False
    return "media" in call or (time.time() if now is None else now) - _last_heard_of(call) < WITHOUT_MEDIA_S


def _last_heard_of(call: Mapping[str, Any]) -> float:
    """When a call without media last gave a sign of life (epoch s); without any, it is taken for a new one."""
    return max((float(call[name]) for name in ("first_seen", "ringing_at", "answered_at") if name in call), default=inf)


async def recent(broker: Broker, *, limit: int = 100) -> list[str]:
    """Call ids, the newest first."""
    reply: list[bytes] = await broker.execute("ZREVRANGE", keys.RECENT, 0, limit - 1)
    return [call_id.decode() for call_id in reply]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, str | int):
        return str(value)
    return json.dumps(value, ensure_ascii=False)
