"""Reads `calls:events`: what comes after a call, and its end where no worker asked for a record, is written down.

What was read is deleted when it is old: webhooks name people.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from redis.exceptions import ResponseError

from ai_worker.jobs import deliveries
from ai_worker.jobs.additions import keep_aftercall
from ai_worker.jobs.queue import JobQueue
from ai_worker.jobs.record import AfterCall
from ai_worker.jobs.unserved import was_unserved
from callbus import calls, keys
from callbus.broker import Broker, StreamEntry
from callbus.calls import LifecycleEvent
from callbus.errors import BadCallId, BusUnavailable

_COUNT = 100
_BLOCK_MS = 2000
_LOST_MS = 30_000
"""An entry whose reader has not dealt with it for so long is dealt with by another one."""
_GONE_MS = 3_600_000
_REDIS_RETRY_S = 1.0

# KEYS: calls:events; ARGV: group, consumer. A consumer that is removed takes what it has left undone with it.
_REMOVE = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
"""

# KEYS: calls:events; ARGV: group, how old an entry may be (ms). What the group has not read yet, or has not dealt with,
# stays, however old it is.
_TRIM = """
local function parts(id)
  local ms, n = string.match(id, '(%d+)-(%d+)')
  return tonumber(ms), tonumber(n)
end
local ms, n = redis.call('TIME')[1] * 1000 - ARGV[2], 0
local function no_later_than(other_ms, other_n)
  if other_ms < ms or (other_ms == ms and other_n < n) then ms, n = other_ms, other_n end
end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  if group[2] == ARGV[1] then
    for i = 1, #group, 2 do
      if group[i] == 'last-delivered-id' then
        local read_ms, read_n = parts(group[i + 1])
        no_later_than(read_ms, read_n + 1)
      end
    end
    local pending = redis.call('XPENDING', KEYS[1], ARGV[1])
    if pending[1] > 0 then no_later_than(parts(pending[2])) end
    return redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f-%.0f', ms, n))
  end
end
return 0
"""

log = structlog.get_logger()


class EventReader:
    """One consumer of the group `keys.JOBS_GROUP`: each event is dealt with once, or again when a reader was lost.

    What was dealt with is deleted `keep_s` (s) after it was written.
    """

    def __init__(self, broker: Broker, queue: JobQueue, name: str, *, keep_s: int = keys.EVENTS_KEPT_S) -> None:
        self._broker = broker
        self._queue = queue
        self._name = name
        self._keep_s = keep_s
        self._looked_at = 0.0

    async def run(self) -> None:
        """Until cancelled; outages of Redis are waited out."""
        while True:
            try:
                await self._round_in_group()
            except BusUnavailable:
                await asyncio.sleep(_REDIS_RETRY_S)

    async def leave(self) -> None:
        """Take this reader off the group, unless it has left something undone. Raises BusUnavailable."""
        await self._remove(self._name)

    async def _round_in_group(self) -> None:
        try:
            await self._round()
        except ResponseError as error:
            if "NOGROUP" not in str(error):
                raise
            await self._make_group()

    async def _round(self) -> None:
        if time.monotonic() - self._looked_at > _LOST_MS / 1000:
            await self._take_over()
            await self._broker.script(_TRIM, [keys.EVENTS], [keys.JOBS_GROUP, self._keep_s * 1000])
            self._looked_at = time.monotonic()
        reply = await self._broker.execute(
            "XREADGROUP", "GROUP", keys.JOBS_GROUP, self._name, "COUNT", _COUNT, "BLOCK", _BLOCK_MS,
            "STREAMS", keys.EVENTS, ">",
            timeout=_BLOCK_MS / 1000 + 5,
        )  # fmt: skip
        for _stream, entries in reply or ():
            await self._deal_with(entries)

    async def _take_over(self) -> None:
        cursor = b""
        while cursor != b"0-0":
            cursor, entries, *_ = await self._broker.execute(
                "XAUTOCLAIM", keys.EVENTS, keys.JOBS_GROUP, self._name, _LOST_MS, cursor or b"0-0", "COUNT", _COUNT
            )
            await self._deal_with([(entry_id, fields) for entry_id, fields in entries if fields])
        for consumer in await self._broker.execute("XINFO", "CONSUMERS", keys.EVENTS, keys.JOBS_GROUP):
            about = dict(zip(consumer[::2], consumer[1::2], strict=True))
            name = about[b"name"].decode()
            if name != self._name and about[b"idle"] > _GONE_MS:
                await self._remove(name)

    async def _remove(self, name: str) -> None:
        try:
            await self._broker.script(_REMOVE, [keys.EVENTS], [keys.JOBS_GROUP, name])
        except ResponseError:
            return  # no stream or no group: no reader either

    async def _deal_with(self, entries: list[StreamEntry]) -> None:
        for entry_id, fields in entries:
            try:
                await self._one(entry_id.decode(), LifecycleEvent.from_fields(fields))
            except (KeyError, ValueError, BadCallId) as error:
                log.warning("an event can't be read", entry_id=entry_id.decode(), reason=repr(error))
            await self._broker.execute("XACK", keys.EVENTS, keys.JOBS_GROUP, entry_id)

    async def _one(self, entry_id: str, event: LifecycleEvent) -> None:
        if not event.call_id:
            return
        if event.resource == "aftercall":
            call_id = keys.clean_call_id(event.call_id)
            kept = AfterCall(event=event.event, at=event.timestamp, data=dict(event.data))
            await keep_aftercall(self._broker, call_id, entry_id, kept)
            await self._queue.record_again(call_id, entry_id)
        elif (event.resource, event.event) == (deliveries.RESOURCE, deliveries.REPLAY):
            await deliveries.replay(self._queue, event.call_id)
        elif event.resource == "call" or (event.resource, event.event) == ("media", "ended"):
            call_id = keys.clean_call_id(event.call_id)
            if was_unserved(await calls.get(self._broker, call_id)):
                await self._queue.record_again(call_id, entry_id)

    async def _make_group(self) -> None:
        try:
            await self._broker.execute("XGROUP", "CREATE", keys.EVENTS, keys.JOBS_GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
