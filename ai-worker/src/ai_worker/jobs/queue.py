"""Asking for a job: arq's queue in Redis, as JSON (with arq's pickle, whoever writes to Redis could run code here)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from arq.connections import ArqRedis
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError

from callbus import keys
from callbus.errors import BusUnavailable

QUEUE = "arq:queue"
RECORD = "write_record"
REDIS_AWAY = (RedisConnectionError, RedisTimeoutError, ReadOnlyError, OSError, asyncio.TimeoutError)

_RECORD_DELAY_S = 1.0
"""The streamer closes the recording's last part moments after the conversation is over."""
_RECORD_ID = "record:"
_TIMEOUT_S = 5.0


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
    """The call that a job is about, for its logs."""
    return job_id.removeprefix(_RECORD_ID)


class JobQueue:
    """Where a worker asks for what has to happen after a call."""

    def __init__(self, redis_url: str) -> None:
        self._redis: Any = connect(redis_url)

    async def record(self, call_id: str) -> None:
        """Have the call's record and recording written, about a second from now.

        Asked again while it is queued, it stays queued once; asked after it was done, it is done anew, from all that is
        known by then. Raises BusUnavailable, and BadCallId for an id that can't name a folder.
        """
        job_id = record_job_id(keys.clean_call_id(call_id))
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                await self._redis.enqueue_job(RECORD, call_id, _job_id=job_id, _defer_by=_RECORD_DELAY_S)
        except REDIS_AWAY as error:
            raise BusUnavailable(f"Redis is away: {str(error) or type(error).__name__}") from error

    async def aclose(self) -> None:
        await self._redis.aclose(close_connection_pool=True)
