"""Asking for a record: queued once, readable by anyone, and honest when Redis is away."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator

import pytest

from ai_worker.jobs.queue import QUEUE, JobQueue
from callbus.broker import Broker
from callbus.errors import BadCallId, BusUnavailable


@pytest.fixture
async def queue(broker: Broker, redis_url: str) -> AsyncIterator[JobQueue]:
    queue = JobQueue(redis_url)
    yield queue
    await queue.aclose()
    await broker.execute("DEL", QUEUE)  # arq removes it with its last job; nobody runs one here


async def test_a_record_asked_for_often_is_queued_once(broker: Broker, queue: JobQueue) -> None:
    for _ in range(3):
        await queue.record("c1")
    assert await broker.execute("ZRANGE", QUEUE, 0, -1) == [b"record:c1"]


async def test_it_is_due_when_the_streamer_has_closed_its_files(broker: Broker, queue: JobQueue) -> None:
    await queue.record("c1")
    due = await broker.execute("ZSCORE", QUEUE, "record:c1")
    assert 0.5 < float(due) / 1000 - time.time() <= 1.1


async def test_the_job_is_json_and_does_not_live_for_ever(broker: Broker, queue: JobQueue) -> None:
    await queue.record("c1")
    job = json.loads(await broker.execute("GET", "arq:job:record:c1"))
    assert (job["f"], job["a"]) == ("write_record", ["c1"])
    assert await broker.execute("TTL", "arq:job:record:c1") > 0


async def test_an_id_that_is_no_folder_is_refused(queue: JobQueue) -> None:
    with pytest.raises(BadCallId):
        await queue.record("../etc")


async def test_redis_away(unused_tcp_port: int) -> None:
    queue = JobQueue(f"redis://127.0.0.1:{unused_tcp_port}/0")
    with pytest.raises(BusUnavailable):
        await queue.record("c1")
    await queue.aclose()
