"""How a media session joins its call: a new conversation, the return of one that dropped, or a call that is over."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal

from callbus import keys, media
from callbus.broker import Broker

# KEYS: call hash, calls:waiting, call's in stream, calls:recent
# ARGV: call id, streamer, session, sample rate, now, reconnect window s, call ttl, media ttl, waiting maxlen,
#       in maxlen, start event, start event (resumed), recent max
_ATTACH = """
local call, waiting, inbound = KEYS[1], KEYS[2], KEYS[3]
local now = tonumber(ARGV[5])
local conversation = redis.call('HGET', call, 'conversation')
if conversation == 'finished' then
  local finished = tonumber(redis.call('HGET', call, 'finished_at') or '0')
  if now - finished < tonumber(ARGV[6]) then return {'over', '', ''} end
end
local old_streamer = redis.call('HGET', call, 'streamer') or ''
local old_session = redis.call('HGET', call, 'session') or ''
local resumed = conversation == 'waiting' or conversation == 'active'
redis.call('HSET', call, 'streamer', ARGV[2], 'session', ARGV[3], 'sample_rate', ARGV[4], 'media', 'connected')
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
if resumed then return {'resumed', old_streamer, old_session} end
return {'new', '', ''}
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

    `new`: a worker was asked for. `resumed`: the conversation goes on; `old_streamer` and `old_session` (may be "")
    held it until now. `over`: the conversation ended moments ago and is not to be opened again by a reconnect.
    """

    outcome: Literal["new", "resumed", "over"]
    old_streamer: str
    old_session: str


async def attach(broker: Broker, call_id: str, *, streamer: str, session: str, sample_rate: int) -> Attached:
    """Join a media session to its call; hand the call out, if it has no conversation yet; announce it: atomically."""
    now = time.time()
    start, resumed = (
        media.encode(media.MediaStarted(round(now, 3), session, streamer, sample_rate, again))[b"j"]
        for again in (False, True)
    )
    outcome, old_streamer, old_session = await broker.script(
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
        ],
    )
    return Attached(outcome.decode(), old_streamer.decode(), old_session.decode())


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


async def mark_done(broker: Broker, call_id: str, action_id: str) -> bool:
    """Note that an action is being carried out; False when it was carried out before (then don't)."""
    key = keys.done_actions(call_id)
    added, _ = await broker.pipeline([("SADD", key, action_id), ("EXPIRE", key, keys.CALL_TTL_S)])
    return bool(added)
