"""How a media session joins its call: a new conversation, the return of one that dropped, or a call that is over."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from callbus import keys, media
from callbus.broker import Broker

OVER = ("bot_ended", "caller_left")
"""Outcomes after which nobody will speak to the caller. A call that ended so stays over for as long as somebody comes
back to it (a media server that reconnects after every close does so hundreds of times a second), and for
RECONNECT_WINDOW_S longer."""

# KEYS: call hash, calls:waiting, call's in stream, calls:recent
# ARGV: call id, streamer, session, sample rate, now, reconnect window s, call ttl, media ttl, waiting maxlen,
#       in maxlen, start event, start event (resumed), recent max, outcomes after which knocking keeps the call over
_ATTACH = """
local call, waiting, inbound = KEYS[1], KEYS[2], KEYS[3]
local now = tonumber(ARGV[5])
local conversation = redis.call('HGET', call, 'conversation')
local old_streamer = redis.call('HGET', call, 'streamer') or ''
local old_session = redis.call('HGET', call, 'session') or ''
local finished = conversation == 'finished'
local outcome = finished and redis.call('HGET', call, 'outcome') or ''
local over_since = tonumber(redis.call('HGET', call, finished and 'finished_at' or 'hung_up_at') or '')
if over_since then
  local final = not finished
  for i = 14, #ARGV do final = final or outcome == ARGV[i] end
  if final then over_since = math.max(over_since, tonumber(redis.call('HGET', call, 'knocked_at') or '0')) end
  if now - over_since < tonumber(ARGV[6]) then
    if final then redis.call('HSET', call, 'knocked_at', ARGV[5]) end
    return {'over', old_streamer, old_session, outcome}
  end
end
local resumed = conversation == 'waiting' or conversation == 'active'
redis.call('HSET', call, 'streamer', ARGV[2], 'session', ARGV[3], 'sample_rate', ARGV[4], 'media', 'connected')
redis.call('HDEL', call, 'media_claimed_at', 'hung_up_at', 'knocked_at')
redis.call('HSETNX', call, 'media_at', ARGV[5])
redis.call('HSETNX', call, 'first_seen', ARGV[5])
local start = ARGV[11]
if resumed then
  start = ARGV[12]
  if redis.call('HGET', call, 'media_closed') then redis.call('HDEL', call, 'media_closed') end
else
  redis.call('DEL', inbound)
  local entry = redis.call('XADD', waiting, 'MAXLEN', '~', ARGV[9], '*', 'call_id', ARGV[1])
  redis.call('HSET', call, 'conversation', 'waiting', 'waiting_entry', entry)
  redis.call('HDEL', call, 'finished_at', 'outcome')
end
redis.call('XADD', inbound, 'MAXLEN', '~', ARGV[10], '*', 'k', 'start', 'j', start)
redis.call('EXPIRE', inbound, ARGV[8])
redis.call('EXPIRE', call, ARGV[7])
redis.call('ZADD', KEYS[4], 'NX', ARGV[5], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -tonumber(ARGV[13]) - 1)
redis.call('EXPIRE', KEYS[4], ARGV[7])
if resumed then return {'resumed', old_streamer, old_session, ''} end
return {'new', '', '', ''}
"""

# KEYS: call hashes; ARGV: now, outcomes after which knocking keeps a call over
_KNOCKED = """
for _, call in ipairs(KEYS) do
  local outcome = redis.call('HGET', call, 'outcome')
  for i = 2, #ARGV do
    if outcome == ARGV[i] then redis.call('HSET', call, 'knocked_at', ARGV[1]) end
  end
end
"""

# KEYS: call hash, call's in stream; ARGV: session, end event, in maxlen, media ttl, now
_END = """
if redis.call('HGET', KEYS[1], 'session') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'media', 'ended', 'media_ended_at', ARGV[5])
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'k', 'end', 'j', ARGV[2])
redis.call('EXPIRE', KEYS[2], ARGV[4])
return 1
"""

# KEYS: call hash; ARGV: session, now
_AWAY = """
if redis.call('HGET', KEYS[1], 'session') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'media', 'away', 'media_closed', ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Attached:
    """How a media session joined its call.

    `new`: a worker was asked for. `resumed`: the conversation goes on. Where it is not new, `old_streamer` and
    `old_session` (may be "") had it until now. `over`: the conversation ended moments ago with
    the outcome `ended_as` ("": the bot has only just hung up), and a reconnect is not to open it again.
    """

    outcome: Literal["new", "resumed", "over"]
    old_streamer: str
    old_session: str
    ended_as: str


async def attach(broker: Broker, call_id: str, *, streamer: str, session: str, sample_rate: int) -> Attached:
    """Join a media session to its call; hand the call out, if it has no conversation yet; announce it: atomically."""
    now = time.time()
    start, resumed = (
        media.encode(media.MediaStarted(round(now, 3), session, streamer, sample_rate, again))[b"j"]
        for again in (False, True)
    )
    outcome, old_streamer, old_session, ended_as = await broker.script(
        _ATTACH,
        [keys.call(call_id), keys.WAITING, keys.media_in(call_id), keys.RECENT],
        [
            call_id,
            streamer,
            session,
            sample_rate,
            f"{now:.3f}",
            keys.RECONNECT_WINDOW_S,
            keys.CALL_TTL_S,
            keys.MEDIA_TTL_S,
            keys.WAITING_MAXLEN,
            keys.MEDIA_IN_MAXLEN,
            start,
            resumed,
            keys.RECENT_MAX,
            *OVER,
        ],
    )
    return Attached(outcome.decode(), old_streamer.decode(), old_session.decode(), ended_as.decode())


async def knocked(broker: Broker, call_ids: Collection[str]) -> None:
    """Someone still comes back to these calls, which are over: they stay so for another RECONNECT_WINDOW_S."""
    await broker.script(_KNOCKED, [keys.call(call_id) for call_id in call_ids], [f"{time.time():.3f}", *OVER])


async def away(broker: Broker, call_id: str, *, session: str) -> bool:
    """Note that the session's connection dropped; False when another session has taken the call over meanwhile."""
    return bool(await broker.script(_AWAY, [keys.call(call_id)], [session, f"{time.time():.3f}"]))


async def end(broker: Broker, call_id: str, *, session: str, reason: str) -> bool:
    """Announce the end of the call's media; False when another session has taken the call over meanwhile."""
    event = media.MediaEnded(round(time.time(), 3), reason)
    ended = await broker.script(
        _END,
        [keys.call(call_id), keys.media_in(call_id)],
        [session, media.encode(event)[b"j"], keys.MEDIA_IN_MAXLEN, keys.MEDIA_TTL_S, f"{time.time():.3f}"],
    )
    return bool(ended)


async def mark_done(broker: Broker, call_id: str, action_id: str, *, hangs_up: bool = False) -> bool:
    """Note that an action is being carried out; False when it was carried out before (then don't).

    Once one `hangs_up`, whoever comes back finds the call over, even before its worker has ended the conversation.
    """
    call, key = keys.call(call_id), keys.done_actions(call_id)
    hung_up = [("HSET", call, "hung_up_at", f"{time.time():.3f}"), ("EXPIRE", call, keys.CALL_TTL_S)]
    *_, added, _ = await broker.pipeline(
        [*(hung_up if hangs_up else []), ("SADD", key, action_id), ("EXPIRE", key, keys.CALL_TTL_S)]
    )
    return bool(added)
