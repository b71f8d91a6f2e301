"""Claiming calls: the pending entry on `calls:waiting` is a lease, the call's epoch is the fence.

A worker takes entries only when it has room, renews its leases every second, and takes over entries that were not
renewed for `LEASE_S`. Renewing is conditional on still holding the entry: a plain claim-to-self by a worker that had
been frozen would steal the call back from its successor.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from callbus import keys
from callbus.broker import Broker
from callbus.errors import LeaseLost

LEASE_S = 2.5
RENEW_EVERY_S = 0.5
_MOST_OWNED = 1000

# KEYS: calls:waiting, call hash; ARGV: group, worker, entry, call ttl, now
# Returns the new epoch and how many workers have begun this conversation by now; epoch 0 for a call that is over (its
# entry is removed), -1 when another holds the entry. A call's first epoch is Redis' time (µs): when Redis has lost the
# call, what is begun anew is not taken for what was, neither by the fence nor by the names of segments and actions.
_BEGIN = """
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #pending == 0 or pending[1][2] ~= ARGV[2] then return {-1, 0} end
if redis.call('HGET', KEYS[2], 'waiting_entry') ~= ARGV[3] then
  redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
  redis.call('XDEL', KEYS[1], ARGV[3])
  return {0, 0}
end
if redis.call('HGET', KEYS[2], 'claimed_entry') ~= ARGV[3] then redis.call('HDEL', KEYS[2], 'attempts') end
redis.call('HSET', KEYS[2], 'worker', ARGV[2], 'conversation', 'active', 'claimed_entry', ARGV[3])
redis.call('HSETNX', KEYS[2], 'claimed_at', ARGV[5])
local now = redis.call('TIME')
redis.call('HSETNX', KEYS[2], 'epoch', now[1] .. string.format('%06d', now[2]))
redis.call('EXPIRE', KEYS[2], ARGV[4])
return {redis.call('HINCRBY', KEYS[2], 'epoch', 1), redis.call('HINCRBY', KEYS[2], 'attempts', 1)}
"""

# KEYS: calls:waiting; ARGV: group, worker, entry...  Returns the entries that are still held.
_RENEW = """
local held = {}
for i = 3, #ARGV do
  local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1)
  if #pending == 1 and pending[1][2] == ARGV[2] then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'IDLE', 0, 'JUSTID')
    held[#held + 1] = ARGV[i]
  end
end
return held
"""

# KEYS: calls:waiting, call hash, call's in stream; ARGV: group, worker, entry, outcome, now, call ttl
_FINISH = """
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #pending == 0 or pending[1][2] ~= ARGV[2] then return 0 end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])
redis.call('XDEL', KEYS[1], ARGV[3])
redis.call('HSET', KEYS[2], 'conversation', 'finished', 'outcome', ARGV[4], 'finished_at', ARGV[5])
redis.call('HDEL', KEYS[2], 'waiting_entry')
redis.call('EXPIRE', KEYS[2], ARGV[6])
redis.call('DEL', KEYS[3])
return 1
"""

# KEYS: calls:waiting; ARGV: group, worker, entry, idle ms
_RELEASE = """
local pending = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)
if #pending == 0 or pending[1][2] ~= ARGV[2] then return 0 end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'IDLE', ARGV[4], 'JUSTID')
return 1
"""

# KEYS: calls:waiting; ARGV: group, worker
_LEAVE = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entry on `calls:waiting` that this worker now holds."""

    entry: str
    call_id: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A call that this worker holds, with the epoch that its commands must carry.

    `attempt` counts the workers that have begun this conversation, this one included.
    """

    entry: str
    call_id: str
    epoch: int
    attempt: int

    @property
    def takeover(self) -> bool:
        """Whether another worker began this conversation."""
        return self.attempt > 1


class Claims:
    """One worker's hold on calls. `worker` is its unique id."""

    def __init__(self, broker: Broker, worker: str) -> None:
        self._broker = broker
        self._worker = worker
        # Kept between scans: a scan that began at 0-0 each time would never reach the later entries.
        self._cursor = "0-0"

    async def prepare(self) -> None:
        """Make the consumer group, if it is absent."""
        try:
            await self._broker.execute("XGROUP", "CREATE", keys.WAITING, keys.WORKERS_GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def take_new(self, room: int, *, block_ms: int) -> list[Waiting]:
        """Up to `room` calls that wait, within `block_ms`."""
        reply = await self._group(
            "XREADGROUP",
            "GROUP",
            keys.WORKERS_GROUP,
            self._worker,
            "COUNT",
            room,
            "BLOCK",
            max(1, block_ms),
            "STREAMS",
            keys.WAITING,
            ">",
            timeout=2.0 + block_ms / 1000,
        )
        return [_waiting(entry, fields) for _, entries in reply or () for entry, fields in entries if fields]

    async def take_abandoned(self, room: int) -> list[Waiting]:
        """Up to `room` calls whose worker has not renewed its lease for LEASE_S: the next ones in turn, if any."""
        while True:
            reply = await self._group(
                "XAUTOCLAIM",
                keys.WAITING,
                keys.WORKERS_GROUP,
                self._worker,
                int(LEASE_S * 1000),
                self._cursor,
                "COUNT",
                room,
            )
            self._cursor = reply[0].decode() if isinstance(reply[0], bytes) else str(reply[0])
            found = [_waiting(entry, fields) for entry, fields in reply[1] if fields]
            # Redis looks at ten times COUNT entries at a time, and most of them are held.
            if found or self._cursor == "0-0":
                return found

    async def owned(self) -> list[Waiting]:
        """What this worker holds by Redis' books. After an outage it may be more than the worker knows of: what it
        asked for was carried out, and the answer never came."""
        reply = await self._group(
            "XREADGROUP", "GROUP", keys.WORKERS_GROUP, self._worker, "COUNT", _MOST_OWNED, "STREAMS", keys.WAITING, "0"
        )
        return [_waiting(entry, fields) for _, entries in reply or () for entry, fields in entries if fields]

    async def held(self) -> dict[str, tuple[int, float]]:
        """How many calls each worker holds, and how long ago (s) it asked for anything here, by its id."""
        reply = await self._group("XINFO", "CONSUMERS", keys.WAITING, keys.WORKERS_GROUP)
        found = [dict(zip(flat[::2], flat[1::2], strict=True)) for flat in reply]
        return {consumer[b"name"].decode(): (consumer[b"pending"], consumer[b"idle"] / 1000) for consumer in found}

    async def begin(self, waiting: Waiting) -> Lease | None:
        """Open a new epoch on a call just taken; None when the call is over. Raises LeaseLost."""
        epoch, attempt = await self._script(
            _BEGIN,
            [keys.WAITING, keys.call(waiting.call_id)],
            [waiting.entry, keys.CALL_TTL_S, f"{time.time():.3f}"],
            nothing=(-1, 0),
        )
        if epoch < 0:
            raise LeaseLost(f"call {waiting.call_id} was taken by another worker, or Redis has lost it")
        return Lease(waiting.entry, waiting.call_id, epoch, attempt) if epoch else None

    async def renew(self, leases: list[Lease]) -> list[Lease]:
        """Renew what is still held; the leases that were lost."""
        if not leases:
            return []
        reply = await self._script(_RENEW, [keys.WAITING], [lease.entry for lease in leases], nothing=[])
        held = {entry.decode() for entry in reply}
        return [lease for lease in leases if lease.entry not in held]

    async def still_held(self, lease: Lease) -> bool:
        """Whether nobody has taken the call; nobody will within LEASE_S then: the lease is renewed."""
        return not await self.renew([lease])

    async def finish(self, lease: Lease, *, outcome: str) -> None:
        """The conversation is over: give the lease back for good. Raises LeaseLost."""
        finished = await self._script(
            _FINISH,
            [keys.WAITING, keys.call(lease.call_id), keys.media_in(lease.call_id)],
            [lease.entry, outcome, f"{time.time():.3f}", keys.CALL_TTL_S],
            nothing=0,
        )
        if not finished:
            raise LeaseLost(f"call {lease.call_id} is held by another worker, or Redis has lost it")

    async def release(self, lease: Lease) -> None:
        """Let another worker take the call at once, as if this one had died long ago."""
        await self._script(_RELEASE, [keys.WAITING], [lease.entry, int(LEASE_S * 1000) + 1000], nothing=0)

    async def leave(self) -> None:
        """Forget this worker in the consumer group, if it holds nothing: pending entries would vanish with it."""
        await self._script(_LEAVE, [keys.WAITING], [], nothing=0)

    async def remove_gone(self, *, idle_s: float) -> None:
        """Forget the workers that hold nothing and have asked for nothing for so long: they left without a word."""
        for worker, (calls, asked_ago_s) in (await self.held()).items():
            if worker != self._worker and not calls and asked_ago_s > idle_s:
                await self._script(_LEAVE, [keys.WAITING], [], nothing=0, worker=worker)

    async def _group(self, *args: object, timeout: float | None = None) -> Any:
        try:
            return await self._broker.execute(*args, timeout=timeout)
        except ResponseError as error:
            await self._prepare_anew(error)
            return await self._broker.execute(*args, timeout=timeout)

    async def _script(
        self, source: str, names: list[str], args: list[Any], *, nothing: Any, worker: str | None = None
    ) -> Any:
        """A script about what a worker holds (this one, if no other is named); `nothing` where there is no group."""
        try:
            return await self._broker.script(source, names, [keys.WORKERS_GROUP, worker or self._worker, *args])
        except ResponseError as error:
            await self._prepare_anew(error)
            return nothing

    async def _prepare_anew(self, error: ResponseError) -> None:
        """Redis lost its data, or never had the group: make it. Raises any other `error`."""
        if not str(error).startswith(("NOGROUP", "no such key")):
            raise error
        await self.prepare()


def _waiting(entry: bytes, fields: dict[bytes, bytes]) -> Waiting:
    return Waiting(entry.decode(), fields[b"call_id"].decode())
