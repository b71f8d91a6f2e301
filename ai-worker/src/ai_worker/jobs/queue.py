"""Asking for a job: arq's queue in Redis, as JSON (with arq's pickle, whoever writes to Redis could run code here)."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix
from redis.asyncio import BlockingConnectionPool

from callbus import keys
from callbus.broker import Broker, bus_errors

QUEUE = "arq:queue"
RECORD = "write_record"
DELIVER = "deliver"
SUMMARISE = "summarise"
STORE = "store"

_RECORD_DELAY_S = 1.0
"""The streamer closes the recording's last part moments after the conversation is over."""
_RECORD_ID, _DELIVER_ID, _SUMMARISE_ID, _STORE_ID = "record:", "deliver:", "summary:", "store:"
_MORE = "#"
"""Begins what tells two jobs for one call apart: no call's id has it."""
_DELIVERY_EXPIRES = timedelta(days=60)
"""A delivery that nobody ran for so long is lost; files that were to be stored are found again by the sweep."""
_TIMEOUT_S = 5.0

# KEYS: the queue, the mark of a job that runs; ARGV: job id, now (epoch ms). One that runs just now is left to arq: it
# adds the next pause to the time that it began with.
_BRING_FORWARD = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
return redis.call('ZADD', KEYS[1], 'XX', 'LT', 'CH', ARGV[2], ARGV[1])
"""


def to_json(job: dict[str, Any]) -> bytes:
    # A failed job's result is its exception.
    return json.dumps(job, default=repr).encode()


def from_json(job: bytes) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(job)
    return values


def connect(redis_url: str) -> ArqRedis:
    """arq's client, with the same URL forms as the rest of the system (arq's own settings don't decode a password)."""
    pool = BlockingConnectionPool.from_url(
        redis_url,
        max_connections=16,
        timeout=_TIMEOUT_S,
        socket_timeout=_TIMEOUT_S,
        socket_connect_timeout=_TIMEOUT_S,
        socket_keepalive=True,
    )
    return ArqRedis(pool, job_serializer=to_json, job_deserializer=from_json, default_queue_name=QUEUE)


def record_job_id(call_id: str) -> str:
    return _RECORD_ID + call_id


def call_of(job_id: str) -> str:
    """The call that a job is about, for its logs; "" for a job about none."""
    for begin in (_RECORD_ID, _DELIVER_ID, _SUMMARISE_ID, _STORE_ID):
        if job_id.startswith(begin):
            return job_id.removeprefix(begin).partition(_MORE)[0]
    return ""


def _record_args(call_id: str, late: bool, summarise: bool) -> tuple[object, ...]:
    # What is the rule is left out: an ai-jobs of an earlier version knows two arguments.
    return (call_id, late) if summarise else (call_id, late, False)


async def overdue_s(broker: Broker) -> float:
    """How long ago (s) the first job of the queue was due; 0.0 while none is. Raises BusUnavailable."""
    first = await broker.execute("ZRANGE", QUEUE, 0, 0)
    score = await broker.execute("ZSCORE", QUEUE, first[0]) if first else None
    return max(0.0, time.time() - float(score) / 1000) if score else 0.0


@asynccontextmanager
async def _answering() -> AsyncIterator[None]:
    """Raises BusUnavailable when Redis is away, too slow, or takes no commands."""
    with bus_errors():
        async with asyncio.timeout(_TIMEOUT_S):
            yield


class JobQueue:
    """Where a worker asks for what has to happen after a call."""

    def __init__(self, redis_url: str) -> None:
        self._redis: Any = connect(redis_url)

    async def record(self, call_id: str) -> None:
        """Have the call's record and recording written, about a second from now.

        Asked again while it is queued, it stays queued once; asked after it was done, it is done anew, from all that is
        known by then. Raises BusUnavailable, and BadCallId for an id that can't name a folder.
        """
        await self._ask(RECORD, call_id, _job_id=record_job_id(keys.clean_call_id(call_id)), _defer_by=_RECORD_DELAY_S)

    async def record_again(self, call_id: str, why: str, *, summarise: bool = True) -> None:
        """Have the record written again because of something that came after it; for a call without one, nothing,
        unless it ended without a worker: then this makes it.

        A job of its own, once for each `why`: one that runs just now may have looked already. Without `summarise`, a
        missing summary is not asked for. Raises BusUnavailable, and BadCallId.
        """
        job_id = record_job_id(keys.clean_call_id(call_id)) + _MORE + why
        await self._ask(RECORD, *_record_args(call_id, True, summarise), _job_id=job_id, _defer_by=_RECORD_DELAY_S)

    async def record_later(self, call_id: str, late: bool, summarise: bool, *, after_s: float) -> None:
        """Go on with a record that could not be written for as long as one job tries. Raises BusUnavailable."""
        job_id = f"{record_job_id(keys.clean_call_id(call_id))}{_MORE}later-{secrets.token_hex(4)}"
        await self._ask(RECORD, *_record_args(call_id, late, summarise), _job_id=job_id, _defer_by=after_s)

    async def store(self, call_id: str, content: str = "", *, after_s: float = 0) -> None:
        """Have the call's files moved to the bucket; `content` names them. Raises BusUnavailable, and BadCallId."""
        job_id = f"{_STORE_ID}{keys.clean_call_id(call_id)}{_MORE}{content[:32]}"
        await self._ask(STORE, call_id, _job_id=job_id, _defer_by=after_s, _expires=_DELIVERY_EXPIRES)

    async def summarise(self, call_id: str, conversation: str) -> None:
        """Have the call summarised; `conversation` names what was said. Raises BusUnavailable, and BadCallId."""
        job_id = f"{_SUMMARISE_ID}{keys.clean_call_id(call_id)}{_MORE}{conversation}"
        await self._ask(SUMMARISE, call_id, _job_id=job_id)

    async def deliver(self, call_id: str, content: str, *, after_s: float = 0) -> None:
        """Have the record whose digest is `content` delivered. Raises BusUnavailable, and BadCallId."""
        job_id = f"{_DELIVER_ID}{keys.clean_call_id(call_id)}{_MORE}{content[:32]}"
        await self._ask(DELIVER, call_id, content, _job_id=job_id, _defer_by=after_s, _expires=_DELIVERY_EXPIRES)

    async def deliver_again(self, call_id: str) -> bool:
        """See ai_worker.jobs.deliveries.replay."""
        job_id = f"{_DELIVER_ID}{keys.clean_call_id(call_id)}{_MORE}again"
        if await self._ask(DELIVER, call_id, "", secrets.token_hex(8), _job_id=job_id, _expires=_DELIVERY_EXPIRES):
            return True
        await self._bring_forward(job_id)
        return False

    async def _bring_forward(self, job_id: str) -> None:
        running, now_ms = in_progress_key_prefix + job_id, round(time.time() * 1000)
        async with _answering():
            await self._redis.eval(_BRING_FORWARD, 2, QUEUE, running, job_id, str(now_ms))

    async def _ask(self, function: str, *args: object, **how: Any) -> bool:
        """False when that job is queued or running already."""
        async with _answering():
            return await self._redis.enqueue_job(function, *args, **how) is not None

    async def aclose(self) -> None:
        await self._redis.aclose(close_connection_pool=True)
