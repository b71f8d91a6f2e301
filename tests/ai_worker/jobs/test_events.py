"""The reader of `calls:events`: what a lost one has left undone is done; calls without a worker get their record."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from arq import Retry

from ai_worker.jobs import events
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.events import EventReader
from ai_worker.jobs.queue import QUEUE, JobQueue
from ai_worker.jobs.write_record import WEBHOOK_TRIES, write_record
from callbus import calls, keys, sessions
from callbus.broker import Broker
from callbus.claims import Claims
from support.jobs_calls import write_transcript
from support.waiting import until

LOST_MS = 31_000


@pytest.fixture
async def queue(broker: Broker, redis_url: str) -> AsyncIterator[JobQueue]:
    queue = JobQueue(redis_url)
    await broker.execute("XGROUP", "CREATE", keys.EVENTS, keys.JOBS_GROUP, "0", "MKSTREAM")
    yield queue
    await queue.aclose()
    await broker.execute("DEL", QUEUE)


@asynccontextmanager
async def reading(broker: Broker, queue: JobQueue, name: str = "r1") -> AsyncIterator[None]:
    task = asyncio.create_task(EventReader(broker, queue, name).run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def event(resource: str, name: str, call_id: str = "c1") -> calls.LifecycleEvent:
    return calls.LifecycleEvent(resource, name, call_id, round(time.time(), 3))


async def taken_by(broker: Broker, reader: str, what: calls.LifecycleEvent, *, idle_ms: int = 0) -> bytes:
    """The id of an event that a reader has taken, and not dealt with for so long."""
    await calls.publish(broker, what)
    group = ("GROUP", keys.JOBS_GROUP, reader)
    reply = await broker.execute("XREADGROUP", *group, "STREAMS", keys.EVENTS, ">")
    entry_id: bytes = reply[0][1][-1][0]
    await broker.execute("XCLAIM", keys.EVENTS, keys.JOBS_GROUP, reader, 0, entry_id, "IDLE", idle_ms)
    return entry_id


async def pending(broker: Broker) -> dict[str, int]:
    """How many events each reader has that are not dealt with."""
    found = await broker.execute("XPENDING", keys.EVENTS, keys.JOBS_GROUP)
    return {one["name"].decode(): one["pending"] for one in found["consumers"]}


async def readers(broker: Broker) -> set[str]:
    found = await broker.execute("XINFO", "CONSUMERS", keys.EVENTS, keys.JOBS_GROUP)
    return {dict(zip(one[::2], one[1::2], strict=True))[b"name"].decode() for one in found}


async def asked_for(broker: Broker) -> list[str]:
    """The jobs in the queue."""
    return [job.decode() for job in await broker.execute("ZRANGE", QUEUE, 0, -1)]


async def test_what_a_lost_reader_has_taken_is_dealt_with_by_another(broker: Broker, queue: JobQueue) -> None:
    lost = [
        await taken_by(broker, "lost", event("aftercall", name), idle_ms=LOST_MS)
        for name in ("record_available", "summary_available")
    ]
    await taken_by(broker, "busy", event("aftercall", "tags_updated"))
    async with reading(broker, queue):
        await until(lambda: _is(pending(broker), {"busy": 1}))
    kept = await broker.hash(keys.aftercall("c1"))
    assert set(kept) == {entry_id.decode() for entry_id in lost}
    assert set(await asked_for(broker)) == {f"record:c1#{entry_id.decode()}" for entry_id in lost}


async def test_more_than_a_page_of_a_lost_readers_events_is_taken_over(
    broker: Broker, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_COUNT", 2)
    for number in range(5):
        await taken_by(broker, "lost", event("aftercall", f"n{number}"), idle_ms=LOST_MS)
    async with reading(broker, queue):
        await until(lambda: _is(pending(broker), {}))
    assert len(await broker.hash(keys.aftercall("c1"))) == 5


async def test_a_reader_that_is_gone_is_removed_unless_it_has_left_something(
    broker: Broker, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = await taken_by(broker, "gone", event("aftercall", "tags_updated"))
    await broker.execute("XACK", keys.EVENTS, keys.JOBS_GROUP, gone)
    await taken_by(broker, "busy", event("aftercall", "tags_updated"))
    # An hour is not waited for: a reader that was not heard of for this long has nothing to do with it.
    async with reading(broker, queue, "r1"):
        await until(lambda: _is(readers(broker), {"gone", "busy", "r1"}))
    await until(lambda: _idle(broker, "gone", 20))
    monkeypatch.setattr(events, "_GONE_MS", 10)
    async with reading(broker, queue, "r1"):
        await until(lambda: _is(readers(broker), {"busy", "r1"}))


async def test_an_event_that_cannot_be_read_stops_nobody(broker: Broker, queue: JobQueue) -> None:
    await broker.append(keys.EVENTS, {b"resource": b"aftercall"}, maxlen=100)
    await calls.publish(broker, event("aftercall", "tags_updated", "../etc"))
    await calls.publish(broker, event("aftercall", "tags_updated"))
    async with reading(broker, queue):
        await until(lambda: _is(_count(broker, keys.aftercall("c1")), 1))
        await until(lambda: _is(pending(broker), {}))


async def old(broker: Broker, *sequence: int) -> list[bytes]:
    """Ids of events from ten days ago."""
    ms = round((time.time() - 10 * 24 * 3600) * 1000)
    fields = [part for pair in event("call", "ringing").fields().items() for part in pair]
    return [await broker.execute("XADD", keys.EVENTS, f"{ms}-{number}", *fields) for number in sequence]


async def ids(broker: Broker) -> list[bytes]:
    return [entry_id for entry_id, _ in await broker.range(keys.EVENTS)]


async def read_by(broker: Broker, reader: str, count: int) -> list[bytes]:
    group = ("GROUP", keys.JOBS_GROUP, reader)
    reply = await broker.execute("XREADGROUP", *group, "COUNT", count, "STREAMS", keys.EVENTS, ">")
    return [entry_id for entry_id, _ in reply[0][1]]


async def test_old_events_are_deleted_once_they_were_dealt_with(broker: Broker, queue: JobQueue) -> None:
    dealt_with, *taken = await old(broker, 1, 2, 3)
    assert await read_by(broker, "busy", 2) == [dealt_with, taken[0]]
    await broker.execute("XACK", keys.EVENTS, keys.JOBS_GROUP, dealt_with)
    await calls.publish(broker, event("call", "ringing"))
    [*_, new] = await ids(broker)
    async with reading(broker, queue):
        await until(lambda: _is(ids(broker), [*taken, new]))
    await broker.execute("XACK", keys.EVENTS, keys.JOBS_GROUP, taken[0])
    async with reading(broker, queue):
        await until(lambda: _is(ids(broker), [new]))


async def test_old_events_that_nobody_has_read_are_read_first(broker: Broker, queue: JobQueue) -> None:
    unread = await old(broker, 7, 8)
    kept = EventReader(broker, queue, "r1")
    await kept._round()
    assert (await ids(broker), await pending(broker)) == (unread, {})
    async with reading(broker, queue):
        await until(lambda: _is(ids(broker), []))


async def test_how_long_events_are_kept_can_be_shorter(
    broker: Broker, queue: JobQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "_BLOCK_MS", 10)
    [entry_id] = await old(broker, 1)
    await read_by(broker, "r1", 1)
    await broker.execute("XACK", keys.EVENTS, keys.JOBS_GROUP, entry_id)
    await EventReader(broker, queue, "r1", keep_s=11 * 24 * 3600)._round()
    assert await ids(broker) == [entry_id]
    await EventReader(broker, queue, "r1", keep_s=9 * 24 * 3600)._round()
    assert await ids(broker) == []


async def _is(found: Any, wanted: object) -> bool:
    return bool(await found == wanted)


async def _count(broker: Broker, key: str) -> int:
    return len(await broker.hash(key))


async def _idle(broker: Broker, reader: str, ms: int) -> bool:
    found = await broker.execute("XINFO", "CONSUMERS", keys.EVENTS, keys.JOBS_GROUP)
    named = {about[b"name"]: about[b"idle"] for about in (dict(zip(one[::2], one[1::2], strict=True)) for one in found)}
    return bool(named[reader.encode()] > ms)


# --- calls that no worker took


async def unserved(broker: Broker, call_id: str = "c1", *, ended: bool = True) -> None:
    """A call as the gateway and the streamer leave it when there is no worker."""
    await calls.update(broker, call_id, from_number="33612345678", to_number="33184800000", state="answered")
    await sessions.attach(broker, call_id, streamer="s1", session="m1", sample_rate=8000)
    if ended:
        assert await sessions.end(broker, call_id, session="m1", reason="the caller hung up")
        # The moment in which the streamer closes its files is over.
        await calls.update(broker, call_id, media_ended_at=time.time() - 5)


def record(folder: Path, call_id: str = "c1") -> dict[str, Any]:
    made: dict[str, Any] = json.loads((folder / call_id / "call.json").read_text(encoding="utf-8"))
    return made


def job(broker: Broker, folder: Path, queue: JobQueue | None = None, job_try: int = 1) -> dict[str, Any]:
    return {"desk": Desk(broker, folder, 20, queue), "job_try": job_try}


@pytest.mark.parametrize("end", [event("media", "ended"), event("call", "hangup")], ids=["media", "webhook"])
async def test_the_end_of_a_call_without_a_worker_asks_for_its_record(
    broker: Broker, queue: JobQueue, tmp_path: Path, end: calls.LifecycleEvent
) -> None:
    await unserved(broker, ended=end.resource == "media")
    if end.resource == "call":
        await calls.update(broker, "c1", state="ended")
    await calls.publish(broker, end)
    async with reading(broker, queue):
        await until(lambda: asked_for(broker))
    [asked] = await asked_for(broker)
    what = json.loads(await broker.execute("GET", f"arq:job:{asked}"))
    assert (what["f"], what["a"]) == ("write_record", ["c1", True])
    await calls.update(broker, "c1", state="ended", media="ended", ended_at=time.time())
    await write_record(job(broker, tmp_path), *what["a"])
    made = record(tmp_path)
    assert (made["outcome"], made["reason"]) == ("no_worker", "no worker took the call")
    assert (made["ended_by"], made["agent"], made["turns"], made["claims"]) == (None, None, [], [])
    assert (made["from_number"], made["to_number"]) == ("33612345678", "33184800000")
    assert {"media_at", "ended_at"} <= set(made["times"])


async def test_calls_with_a_worker_and_calls_without_media_are_left_to_others(broker: Broker, queue: JobQueue) -> None:
    await unserved(broker, "claimed", ended=False)
    claims = Claims(broker, "w1")
    await claims.prepare()
    [waiting] = await claims.take_new(1, block_ms=100)
    assert await claims.begin(waiting)
    await sessions.end(broker, "claimed", session="m1", reason="the caller hung up")
    await unserved(broker, "on-the-line", ended=False)
    await calls.update(broker, "missed", state="ended", ringing_at=1.0)
    for call_id in ("claimed", "on-the-line", "missed", "unheard-of"):
        await calls.publish(broker, event("media", "ended", call_id))
        await calls.publish(broker, event("call", "hangup", call_id))
    await calls.publish(broker, event("aftercall", "tags_updated", "last"))
    async with reading(broker, queue):
        await until(lambda: asked_for(broker))
    assert [asked.partition("#")[0] for asked in await asked_for(broker)] == ["record:last"]


async def test_the_webhook_of_the_end_is_waited_for(broker: Broker, tmp_path: Path) -> None:
    await unserved(broker)
    with pytest.raises(Retry):
        await write_record(job(broker, tmp_path, job_try=WEBHOOK_TRIES), "c1", True)
    await write_record(job(broker, tmp_path, job_try=WEBHOOK_TRIES + 1), "c1", True)
    assert record(tmp_path)["outcome"] == "no_worker"


async def test_a_worker_that_comes_after_the_end_has_the_last_word(broker: Broker, tmp_path: Path) -> None:
    await unserved(broker)
    await calls.update(broker, "c1", state="ended")
    await write_record(job(broker, tmp_path), "c1", True)
    await calls.update(broker, "c1", claimed_at=time.time())
    await write_transcript(broker, "c1")
    await write_record(job(broker, tmp_path), "c1")
    assert record(tmp_path)["outcome"] == "caller_left"
