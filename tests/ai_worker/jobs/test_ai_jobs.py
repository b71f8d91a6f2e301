"""ai-jobs as a process: asked through Redis, stopped, killed, and without Redis for a while."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ai_worker.jobs.desk import WRITING
from ai_worker.jobs.queue import QUEUE, JobQueue
from callbus import calls, keys, registry
from callbus.broker import Broker, connect
from devstack.embedded_redis import embedded_redis
from support.jobs_calls import finished_call
from support.jobs_parts import read_wav, steady, write_part
from support.jobs_process import AiJobs, ai_jobs

T0 = 1_732_266_000.0
IN_PROGRESS = "arq:in-progress:record:c1"


@pytest.fixture
async def queue(redis_url: str, broker: Broker) -> AsyncIterator[JobQueue]:
    queue = JobQueue(redis_url)
    yield queue
    await queue.aclose()


def record(calls_dir: Path, call_id: str = "c1") -> dict[str, Any]:
    made: dict[str, Any] = json.loads((calls_dir / call_id / "call.json").read_text(encoding="utf-8"))
    return made


async def stopped(jobs: AiJobs) -> None:
    jobs.send(signal.SIGTERM)
    assert await jobs.exit_code() == 0, jobs.log


async def left_of_jobs(broker: Broker) -> list[bytes]:
    """arq's keys, without the sign of life that all its workers share (the broker fixture sees to its TTL)."""
    return [key for key in await broker.execute("KEYS", "arq:*") if not key.endswith(b":health-check")]


def minutes_of_parts(folder: Path) -> list[Path]:
    """Parts that take about a second to join: the second one has to be brought to the first one's rate."""
    first = write_part(folder, T0, steady(8000, 1, 2))
    second = write_part(folder, T0 + 1, steady(0, 0, 0), session="m2", rate=16_000)
    os.truncate(second, 300 * 16_000 * 4)
    return [first, second]


async def test_calls_are_recorded_and_nothing_is_left_behind(
    redis_url: str, broker: Broker, queue: JobQueue, tmp_path: Path
) -> None:
    calls_dir = tmp_path / "calls"
    ids = ["c1", "c2", "c3"]
    for call_id in ids:
        await finished_call(broker, call_id)
        write_part(calls_dir / call_id, T0, steady(8000, 1, 2))
        write_part(calls_dir / call_id, T0 + 3, steady(8000, 3, 4), session="m2")
        await queue.record(call_id)
        await queue.record(call_id)
    async with ai_jobs(redis_url, calls_dir, tmp_path) as jobs:
        await jobs.until(lambda: all((calls_dir / call_id / "call.json").exists() for call_id in ids), "records")
        await stopped(jobs)
    for call_id in ids:
        assert sorted(path.name for path in (calls_dir / call_id).iterdir()) == ["call.json", "call.wav"]
        assert record(calls_dir, call_id)["outcome"] == "caller_left"
        rate, audio = read_wav(calls_dir / call_id / "call.wav")
        assert (rate, len(audio)) == (8000, 32_000)
    assert await left_of_jobs(broker) == []
    assert "ERROR" not in jobs.log.upper()
    assert await registry.running(broker) == []


async def test_it_is_listed_while_it_runs(redis_url: str, broker: Broker, tmp_path: Path) -> None:
    async with ai_jobs(redis_url, tmp_path / "calls", tmp_path) as jobs:
        listed: list[dict[str, Any]] = []
        while not (listed and listed[0]["ready"]):
            assert jobs.running, jobs.log
            listed = await registry.running(broker)
            await asyncio.sleep(0.05)
        assert (listed[0]["kind"], listed[0]["queued"]) == ("jobs", 0)
        await stopped(jobs)


async def test_the_recording_waits_for_the_end_of_the_media(
    redis_url: str, broker: Broker, queue: JobQueue, tmp_path: Path
) -> None:
    calls_dir = tmp_path / "calls"
    await finished_call(broker, "c1", media="connected")
    write_part(calls_dir / "c1", T0, steady(80, 1, 2))
    await queue.record("c1")
    async with ai_jobs(redis_url, calls_dir, tmp_path) as jobs:
        while await broker.execute("GET", "arq:retry:record:c1") is None:
            assert jobs.running, jobs.log
            await asyncio.sleep(0.02)
        assert not (calls_dir / "c1" / "call.json").exists()
        write_part(calls_dir / "c1", T0, steady(160, 1, 2))
        await calls.update(broker, "c1", media="ended", media_ended_at=100.0)
        await jobs.until((calls_dir / "c1" / "call.json").exists, "record")
        await stopped(jobs)
    assert record(calls_dir)["recording"]["duration_s"] == 0.02
    assert not list((calls_dir / "c1").glob("*.part"))


async def test_a_job_that_runs_at_sigterm_is_finished(
    redis_url: str, broker: Broker, queue: JobQueue, tmp_path: Path
) -> None:
    folder = tmp_path / "calls" / "c1"
    await finished_call(broker, "c1")
    minutes_of_parts(folder)
    await queue.record("c1")
    async with ai_jobs(redis_url, folder.parent, tmp_path) as jobs:
        await jobs.until(lambda: bool(list(folder.glob(".call.wav.*.tmp"))), "recording begun", every_s=0.002)
        assert not (folder / "call.json").exists()
        await stopped(jobs)
    assert record(folder.parent)["recording"]["duration_s"] == 301
    assert await left_of_jobs(broker) == []


async def test_a_job_that_takes_too_long_at_sigterm_goes_back_to_the_queue(
    redis_url: str, broker: Broker, queue: JobQueue, tmp_path: Path
) -> None:
    folder = tmp_path / "calls" / "c1"
    await finished_call(broker, "c1")
    parts = minutes_of_parts(folder)
    await queue.record("c1")
    async with ai_jobs(redis_url, folder.parent, tmp_path, JOBS_DRAIN_S="0") as jobs:
        await jobs.until(lambda: bool(list(folder.glob(".call.wav.*.tmp"))), "recording begun", every_s=0.002)
        await stopped(jobs)
    assert sorted(folder.glob("*.part")) == parts
    assert not list(folder.glob(".*.tmp"))
    assert await broker.execute("EXISTS", IN_PROGRESS) == 0
    async with ai_jobs(redis_url, folder.parent, tmp_path) as jobs:
        await jobs.until((folder / "call.json").exists, "record")
        await stopped(jobs)
    assert await left_of_jobs(broker) == []


async def test_a_job_of_a_killed_process_is_done_by_the_next(
    redis_url: str, broker: Broker, queue: JobQueue, tmp_path: Path
) -> None:
    folder = tmp_path / "calls" / "c1"
    await finished_call(broker, "c1")
    parts = minutes_of_parts(folder)
    await queue.record("c1")
    async with ai_jobs(redis_url, folder.parent, tmp_path, JOBS_TIMEOUT_S="20") as jobs:
        await jobs.until(lambda: bool(list(folder.glob(".call.wav.*.tmp"))), "recording begun", every_s=0.002)
        jobs.send(signal.SIGKILL)
        assert await jobs.exit_code() == -signal.SIGKILL
    assert not (folder / "call.json").exists()
    assert sorted(folder.glob("*.part")) == parts
    assert await broker.execute("ZCARD", QUEUE) == 1
    # The dead process's hold on the job runs out by itself, 15 s after the job's own limit; here at once.
    assert 0 < await broker.execute("TTL", IN_PROGRESS) <= 35
    await broker.execute("PEXPIRE", IN_PROGRESS, 1)
    assert 0 < await broker.execute("TTL", keys.lock("c1", WRITING)) <= 25
    await broker.execute("PEXPIRE", keys.lock("c1", WRITING), 1)
    async with ai_jobs(redis_url, folder.parent, tmp_path) as jobs:
        await jobs.until((folder / "call.json").exists, "record")
        await stopped(jobs)
    assert sorted(path.name for path in folder.iterdir()) == ["call.json", "call.wav"]
    assert record(folder.parent)["recording"]["duration_s"] == 301
    assert await left_of_jobs(broker) == []


async def test_a_failure_is_logged_with_its_call_and_tried_again(
    redis_url: str, broker: Broker, queue: JobQueue, tmp_path: Path
) -> None:
    calls_dir = tmp_path / "calls"
    calls_dir.mkdir()
    await finished_call(broker, "c1")
    (calls_dir / "c1").write_text("in the way")
    await queue.record("c1")
    async with ai_jobs(redis_url, calls_dir, tmp_path) as jobs:
        await jobs.until(lambda: "not written yet" in jobs.log, "warning")
        (calls_dir / "c1").unlink()
        await jobs.until((calls_dir / "c1" / "call.json").exists, "record")
        await stopped(jobs)
    [warning] = [line for line in map(json.loads, jobs.log.splitlines()) if line["event"] == "record not written yet"]
    assert (warning["call_id"], warning["job_try"], warning["level"]) == ("c1", 1, "warning")


async def test_redis_may_come_late_and_go_away(tmp_path: Path, unused_tcp_port: int) -> None:
    url = f"redis://127.0.0.1:{unused_tcp_port}/0"
    calls_dir = tmp_path / "calls"
    async with ai_jobs(url, calls_dir, tmp_path) as jobs:
        await jobs.until(lambda: "Redis is away" in jobs.log, "warning")
        for call_id in ("c1", "c2"):
            with embedded_redis(tmp_path / "redis", port=unused_tcp_port):
                queue = JobQueue(url)
                async with connect(url) as broker:
                    await finished_call(broker, call_id)
                await queue.record(call_id)
                await queue.aclose()
                await jobs.until((calls_dir / call_id / "call.json").exists, f"record of {call_id}")
        await stopped(jobs)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"CALLS_DIR": "/dev/null/calls"}, "setting CALLS_DIR is wrong"),
        ({"JOBS_CONCURRENCY": "0"}, "setting JOBS_CONCURRENCY='0' is wrong"),
        ({"CALLS_WEBHOOK_URL": "crm.example.com"}, "setting CALLS_WEBHOOK_URL is wrong"),
        ({"CALLS_WEBHOOK_URL": "https://crm.example.com"}, "CALLS_WEBHOOK_URL needs CALLS_WEBHOOK_SECRET"),
        ({"PRICES_FILE": "nowhere.yaml"}, "setting PRICES_FILE is wrong: nowhere.yaml:1: can't be read"),
    ],
)
async def test_a_wrong_setting_ends_it_with_one_line(tmp_path: Path, setting: dict[str, str], says: str) -> None:
    calls_dir = Path(setting.pop("CALLS_DIR", str(tmp_path)))
    async with ai_jobs("redis://127.0.0.1:1/0", calls_dir, tmp_path, **setting) as jobs:
        assert await jobs.exit_code() == 2
    assert jobs.log.count("\n") == 1
    assert says in jobs.log
