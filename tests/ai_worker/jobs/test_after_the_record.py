"""What follows a record, by ai-jobs as a process: delivery through kills, late events, a summary, retention."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ai_worker.jobs import deliveries
from ai_worker.jobs.queue import QUEUE, JobQueue
from callbus import calls, keys
from callbus.broker import Broker
from devstack.ports import free_port
from support.fake_providers.openai_api import FakeOpenAI, tokens
from support.jobs_calls import finished_call
from support.jobs_parts import steady, write_part
from support.jobs_process import AiJobs, ai_jobs
from support.jobs_receiver import HANG, SECRET, UNAVAILABLE, Receiver, receiver
from support.waiting import until

NOTES = {"summary": "Il a demandé les horaires.", "labels": ["answered", "made_up"], "wish": "les horaires"}


@pytest.fixture
async def queue(redis_url: str, broker: Broker) -> AsyncIterator[JobQueue]:
    queue = JobQueue(redis_url)
    yield queue
    await queue.aclose()
    await broker.execute("DEL", QUEUE)  # a delivery that is put off until a summary is there may still be queued


@pytest.fixture
async def hook() -> AsyncIterator[Receiver]:
    async with receiver() as made:
        yield made


def delivering(hook: Receiver) -> dict[str, str]:
    return {
        "CALLS_WEBHOOK_URL": f"{hook.url}?token=top-secret-token",
        "CALLS_WEBHOOK_SECRET": SECRET,
        "CALLS_WEBHOOK_FIRST_RETRY_S": "0.05",
    }


async def stopped(jobs: AiJobs) -> None:
    jobs.send(signal.SIGTERM)
    assert await jobs.exit_code() == 0, jobs.log


def record(calls_dir: Path, call_id: str = "c1") -> dict[str, Any]:
    made: dict[str, Any] = json.loads((calls_dir / call_id / "call.json").read_text(encoding="utf-8"))
    return made


async def aftercall(broker: Broker, event: str, **data: object) -> None:
    """As the gateway publishes it."""
    lifecycle = calls.LifecycleEvent("aftercall", event, "c1", time.time(), data={"call_id": "c1", **data})
    fresh = f"{event}-{time.time_ns()}"
    assert await calls.publish_webhook(broker, lifecycle, delivery=fresh, state=None, once={}, latest={})


async def test_a_record_is_delivered_and_nothing_private_is_logged(
    redis_url: str, broker: Broker, queue: JobQueue, hook: Receiver, tmp_path: Path
) -> None:
    hook.script.append(UNAVAILABLE)
    await finished_call(broker, "c1")
    await queue.record("c1")
    async with ai_jobs(redis_url, tmp_path / "calls", tmp_path, **delivering(hook)) as jobs:
        await jobs.until(lambda: "record delivered" in jobs.log, "delivery")
        await stopped(jobs)
    assert len(hook.keys) == 2
    assert len(set(hook.keys)) == 1
    assert hook.bodies[0] == (tmp_path / "calls" / "c1" / "call.json").read_bytes()
    assert SECRET not in jobs.log
    assert "top-secret-token" not in jobs.log


async def test_killed_between_the_post_and_noting_it_the_next_one_posts_under_the_same_key(
    redis_url: str, broker: Broker, queue: JobQueue, hook: Receiver, tmp_path: Path
) -> None:
    hook.script.append(HANG)
    await finished_call(broker, "c1")
    await queue.record("c1")
    async with ai_jobs(redis_url, tmp_path / "calls", tmp_path, **delivering(hook)) as jobs:
        await jobs.until(lambda: bool(hook.api.asked), "post")
        jobs.send(signal.SIGKILL)
        await jobs.exit_code()
    # The dead process's holds run out by themselves; here at once.
    holds = [keys.lock("c1", "delivering"), *await broker.execute("KEYS", "arq:in-progress:*")]
    for hold in holds:
        assert 0 < await broker.execute("TTL", hold) <= 90
        await broker.execute("PEXPIRE", hold, 1)
    async with ai_jobs(redis_url, tmp_path / "calls", tmp_path, **delivering(hook)) as jobs:
        await jobs.until(lambda: jobs.log.count("record delivered") == 1, "delivery")
        await stopped(jobs)
    assert len(hook.keys) == 2
    assert len(set(hook.keys)) == 1
    assert len(set(hook.bodies)) == 1


async def idle(broker: Broker) -> bool:
    return not await broker.execute("ZCARD", QUEUE)


async def no_events(broker: Broker) -> bool:
    return not await broker.execute("XLEN", keys.EVENTS)


async def test_late_events_reach_the_record_and_the_customer(
    redis_url: str, broker: Broker, queue: JobQueue, hook: Receiver, tmp_path: Path
) -> None:
    calls_dir = tmp_path / "calls"
    await finished_call(broker, "c1")
    await aftercall(broker, "record_available", record="https://r.example/1.mp3")  # nobody reads yet
    await queue.record("c1")
    async with ai_jobs(redis_url, calls_dir, tmp_path, **delivering(hook)) as jobs:
        await jobs.until(lambda: "record delivered" in jobs.log, "delivery")
        # The first event asks for the record, too; none is written if that comes while the other one is being written.
        # When all is done, Redis forgets the call; what the disk knows stays.
        await until(lambda: idle(broker), what="an empty queue")
        await broker.execute("DEL", *keys.of_call("c1"))
        await aftercall(broker, "transcription_available", text="Bonjour")
        await aftercall(broker, "summary_available", text="Court")
        await jobs.until(lambda: len(record(calls_dir)["aftercall"]) == 3, "late events")
        await jobs.until(lambda: len(json.loads(hook.bodies[-1])["aftercall"]) == 3, "second delivery")
        await stopped(jobs)
    made = record(calls_dir)
    assert [event["event"] for event in made["aftercall"]] == [
        "record_available",
        "transcription_available",
        "summary_available",
    ]
    assert made["aftercall"][0]["data"]["record"] == "https://r.example/1.mp3"
    assert made["from_number"] == "33612345678"
    assert len(made["turns"]) == 2
    assert len(set(hook.keys)) == len(set(hook.bodies)) == len(hook.keys)
    assert await broker.execute("XPENDING", keys.EVENTS, keys.JOBS_GROUP) == {
        "pending": 0,
        "min": None,
        "max": None,
        "consumers": [],
    }


async def test_a_late_event_is_added_to_the_record_of_a_call_that_no_worker_took(
    redis_url: str, broker: Broker, queue: JobQueue, hook: Receiver, tmp_path: Path
) -> None:
    calls_dir, ended = tmp_path / "calls", time.time() - 60
    numbers = {"from_number": "33612345678", "to_number": "33184800000", "direction": "inbound"}
    times = {"media_at": ended - 5, "first_seen": ended - 8, "media_ended_at": ended}
    await calls.update(broker, "c1", state="ended", media="ended", sample_rate=8000, **numbers, **times)
    await calls.publish(broker, calls.LifecycleEvent("call", "hangup", "c1", ended))
    async with ai_jobs(redis_url, calls_dir, tmp_path, **delivering(hook)) as jobs:
        await jobs.until(lambda: "record delivered" in jobs.log, "delivery")
        first = record(calls_dir)
        assert first["outcome"] == "no_worker"
        await broker.execute("DEL", *keys.of_call("c1"))  # as after its 24 hours
        await aftercall(broker, "record_available", record="https://r.example/1.mp3")
        await jobs.until(lambda: len(hook.bodies) == 2, "second delivery")
        await stopped(jobs)
    [late] = json.loads(hook.bodies[1])["aftercall"]
    assert late["data"]["record"] == "https://r.example/1.mp3"
    assert json.loads(hook.bodies[1]) == record(calls_dir) == {**first, "aftercall": [late]}


async def test_an_event_of_a_call_that_is_not_ours_leaves_no_folder(
    redis_url: str, broker: Broker, tmp_path: Path
) -> None:
    await aftercall(broker, "tags_updated")
    async with ai_jobs(redis_url, tmp_path / "calls", tmp_path) as jobs:

        async def done() -> bool:
            if not await broker.execute("EXISTS", keys.aftercall("c1")):
                return False
            # The event is given back once its job is asked for.
            asked = (await broker.execute("XPENDING", keys.EVENTS, keys.JOBS_GROUP))["pending"] == 0
            return asked and not await broker.execute("EXISTS", "arq:queue")

        await until(done)
        await stopped(jobs)
    assert list((tmp_path / "calls").iterdir()) == []


async def test_another_service_asks_for_a_replay(
    redis_url: str, broker: Broker, queue: JobQueue, hook: Receiver, tmp_path: Path
) -> None:
    await finished_call(broker, "c1")
    await queue.record("c1")
    async with ai_jobs(redis_url, tmp_path / "calls", tmp_path, **delivering(hook)) as jobs:
        await jobs.until(lambda: len(hook.keys) == 1, "delivery")
        await calls.publish(broker, deliveries.replay_asked("c1"))
        await jobs.until(lambda: jobs.log.count("record delivered") == 2, "replay")
        await stopped(jobs)
    assert len(set(hook.keys)) == 1


async def test_a_summary_is_in_the_record_and_in_the_one_delivery(
    redis_url: str, broker: Broker, queue: JobQueue, hook: Receiver, tmp_path: Path
) -> None:
    calls_dir = tmp_path / "calls"
    await finished_call(broker, "c1")
    await queue.record("c1")
    answers = ["I'd rather chat.", f"```json\n{json.dumps(NOTES)}\n```"]
    async with FakeOpenAI(answer=lambda _messages: answers.pop(0)) as openai:
        settings = {"OPENAI_API_KEY": openai.api_key, "OPENAI_BASE_URL": openai.base_url}
        settings["PRICES_FILE"] = str(tmp_path / "prices.yaml")
        (tmp_path / "prices.yaml").write_text("currency: EUR\nprices: {openai/gpt-4o-mini: {output_tokens: 2}}\n")
        async with ai_jobs(redis_url, calls_dir, tmp_path, **delivering(hook), **settings) as jobs:
            await jobs.until(lambda: "record delivered" in jobs.log, "delivery")
            await stopped(jobs)
        asked = (await openai.request(0)).json["messages"]
    made = record(calls_dir)
    assert (made["summary"], made["labels"], made["caller_wish"]) == (NOTES["summary"], ["answered"], NOTES["wish"])
    assert [json.loads(body)["summary"] for body in hook.bodies] == [NOTES["summary"]]
    assert [message["role"] for message in asked] == ["system", "user"]
    assert "Café hours?" not in asked[0]["content"]
    assert json.loads(asked[1]["content"])["conversation"][1] == {"caller": "Café hours?"}
    # Both answers were paid for, the one that was no summary too.
    lines = {line["unit"]: line for line in made["costs"]["usage"]}
    assert {line["seam"] for line in lines.values()} == {"summary"}
    written = sum(len(tokens(answer)) for answer in ("I'd rather chat.", f"```json\n{json.dumps(NOTES)}\n```"))
    assert (lines["output_tokens"]["amount"], lines["output_tokens"]["told"]) == (written, True)
    assert (made["costs"]["amount"], made["costs"]["currency"]) == (2 * written, "EUR")
    assert made["costs"]["unpriced"] == ["openai/gpt-4o-mini input_tokens"]


async def test_old_calls_are_erased_and_nothing_else(redis_url: str, broker: Broker, tmp_path: Path) -> None:
    calls_dir, old = tmp_path / "calls", time.time() - 8 * 24 * 3600
    for call_id, at in (("old", old), ("new", time.time())):
        await finished_call(broker, call_id)
        await calls.update(broker, call_id, media_ended_at=at)
        write_part(calls_dir / call_id, at, steady(8, 1, 2))
    queue = JobQueue(redis_url)
    for call_id in ("old", "new"):
        await queue.record(call_id)
    await queue.aclose()
    stray = write_part(calls_dir / "stray", old, steady(8, 1, 2))
    os.utime(stray, (old, old))
    os.utime(stray.with_suffix(".json"), (old, old))
    (calls_dir / "backup").mkdir()
    (calls_dir / "backup" / "call.json").write_text("{}")
    (calls_dir / "elsewhere").symlink_to(calls_dir / "backup")
    async with ai_jobs(redis_url, calls_dir, tmp_path) as jobs:
        await jobs.until(lambda: jobs.log.count("record written") == 2, "records")
        await stopped(jobs)
    (calls_dir / "old" / "notes.txt").write_text("somebody's")
    # Younger than a week, and read: it goes with the calls of its days.
    entry_id = await broker.execute("XADD", keys.EVENTS, round((time.time() - 4 * 24 * 3600) * 1000), "data", "{}")
    await broker.execute("XREADGROUP", "GROUP", keys.JOBS_GROUP, "r", "STREAMS", keys.EVENTS, ">")
    await broker.execute("XACK", keys.EVENTS, keys.JOBS_GROUP, entry_id)
    port = str(free_port())
    async with ai_jobs(redis_url, calls_dir, tmp_path, RETENTION_DAYS="3", JOBS_PORT=port) as jobs:
        await jobs.until(lambda: "old calls erased" in jobs.log, "retention")
        await until(lambda: no_events(broker), what="no old events")
        async with httpx.AsyncClient(trust_env=False) as client:
            metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        await stopped(jobs)
    assert "\nringover_jobs_calls_erased_total 2.0\n" in metrics
    assert sorted(path.name for path in calls_dir.iterdir()) == ["backup", "elsewhere", "new", "old"]
    assert [path.name for path in (calls_dir / "old").iterdir()] == ["notes.txt"]
    assert sorted(path.name for path in (calls_dir / "new").iterdir()) == ["call.json", "call.wav"]
    assert await broker.execute("EXISTS", keys.call("old"), keys.transcript("old")) == 0
