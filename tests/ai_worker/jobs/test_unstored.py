"""What waits for the bucket is counted: files and the age of the oldest, while it is away and when it is back."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from arq import Retry

from ai_worker.jobs import unstored
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.store import store
from ai_worker.jobs.unstored import Unstored, look, watch
from callbus.bucket import RECORD, RECORDING
from devstack.ports import free_port
from support.jobs_desk import ctx, recorded
from support.jobs_process import ai_jobs
from support.s3 import S3Server
from support.waiting import until

NOW = 1_800_000_000.0


def put(calls_dir: Path, call_id: str, name: str, *, age_s: float) -> None:
    (calls_dir / call_id).mkdir(exist_ok=True)
    path = calls_dir / call_id / name
    path.write_bytes(b"x")
    os.utime(path, (NOW - age_s, NOW - age_s))


def test_files_are_overdue_when_they_should_have_been_stored(tmp_path: Path) -> None:
    assert look(tmp_path, after_s=30, now=NOW) == Unstored(0, 0.0)
    put(tmp_path, "c1", RECORD, age_s=10)
    assert look(tmp_path, after_s=30, now=NOW) == Unstored(1, 0.0)
    # A record that was written anew is as old as the recording that has waited since.
    put(tmp_path, "c2", RECORD, age_s=10)
    put(tmp_path, "c2", RECORDING, age_s=130)
    assert look(tmp_path, after_s=30, now=NOW) == Unstored(3, 100.0)


def test_what_is_not_for_the_bucket_does_not_count(tmp_path: Path) -> None:
    put(tmp_path, "running", "1-m.part", age_s=900)
    put(tmp_path, "unrecorded", RECORDING, age_s=900)
    (tmp_path / "a-file").write_bytes(b"")
    (tmp_path / "a-link").symlink_to(tmp_path / "running")
    assert look(tmp_path, after_s=0, now=NOW) == Unstored(0, 0.0)


async def test_the_figures_grow_while_the_bucket_is_away_and_go_when_it_is_back(
    desk: Desk, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unstored, "LOOK_EVERY_S", 0.02)

    def value(name: str) -> float:
        return desk.metrics.registry.get_sample_value(f"ringover_jobs_{name}") or 0.0

    watching = asyncio.create_task(watch(desk))
    try:
        s3.stop()
        folder = await recorded(desk)
        with pytest.raises(Retry):
            await store(ctx(desk), "c1")
        before = time.time() - 7200
        os.utime(folder / RECORDING, (before, before))
        await until(lambda: value("oldest_unstored_seconds") >= 7200, what="the oldest file's age")
        assert value("unstored_files") == 2
        s3.start()
        await store(ctx(replace(desk, bucket=s3.bucket())), "c1")
        await until(lambda: value("unstored_files") == value("oldest_unstored_seconds") == 0, what="nothing waits")
        desk.calls_dir.rename(desk.calls_dir.with_name("away"))
        await asyncio.wait([watching], timeout=0.1)
        assert not watching.done(), "a disk that is away for a moment ends no ai-jobs"
    finally:
        watching.cancel()
        await asyncio.wait([watching])


async def test_ai_jobs_serves_the_figures(redis_url: str, tmp_path: Path, s3: S3Server) -> None:
    s3.stop()
    calls_dir, port = tmp_path / "calls", free_port()
    calls_dir.mkdir()
    put(calls_dir, "c1", RECORD, age_s=0)
    os.utime(calls_dir / "c1" / RECORD, (time.time() - 5000, time.time() - 5000))
    settings = {**s3.settings, "JOBS_PORT": str(port), "CALLS_BUCKET_AFTER_S": "1000"}
    async with (
        httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client,
        ai_jobs(redis_url, calls_dir, tmp_path, **settings) as jobs,
    ):
        await jobs.until(lambda: "ready for jobs" in jobs.log, "ready for jobs")

        async def shown() -> str:
            text = (await client.get("/metrics")).text
            return text if "ringover_jobs_unstored_files 1.0" in text else ""

        text = await until(shown, timeout=10)
        oldest = next(line for line in text.splitlines() if line.startswith("ringover_jobs_oldest_unstored_seconds "))
        assert 4000 <= float(oldest.split()[1]) < 4100
