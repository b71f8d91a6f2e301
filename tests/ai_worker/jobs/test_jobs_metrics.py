"""What ai-jobs serves on JOBS_PORT, as a process: its jobs, its queue, its deliveries; and whether it is well."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest
from arq import Retry
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from ai_worker.jobs.metrics import Metrics
from ai_worker.jobs.queue import QUEUE, JobQueue, overdue_s
from ai_worker.jobs.web import serving
from callbus.broker import Broker
from support.jobs_calls import finished_call
from support.jobs_process import AiJobs, ai_jobs
from support.jobs_receiver import SECRET, receiver, status
from support.waiting import until


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name and the values of the labels, which stand in alphabetical order."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


async def stopped(jobs: AiJobs) -> None:
    jobs.send(signal.SIGTERM)
    assert await jobs.exit_code() == 0, jobs.log


async def test_jobs_and_deliveries_are_counted(redis_url: str, broker: Broker, tmp_path: Path, port: int) -> None:
    await finished_call(broker, "c1")
    queue = JobQueue(redis_url)
    await queue.record("c1")
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client, receiver() as hook:
        hook.script.append(status("410 Gone"))
        settings = {"CALLS_WEBHOOK_URL": hook.url, "CALLS_WEBHOOK_SECRET": SECRET, "JOBS_PORT": str(port)}
        async with ai_jobs(redis_url, tmp_path / "calls", tmp_path, **settings) as jobs:

            async def seen() -> dict[tuple[str, ...], float]:
                found = samples((await client.get("/metrics")).text)
                counted = ("ringover_jobs_dead_letters",) in found and found["ringover_jobs_dead_letters",] == 1
                return found if counted else {}

            await jobs.until(lambda: "dead letter" in jobs.log, "dead letter")
            found = await until(seen, timeout=10)
            assert (await client.get("/health")).json() == {"status": "ok"}
            assert (await client.get("/")).status_code == 404
            await stopped(jobs)
        assert found["ringover_jobs_runs_total", "done", "write_record"] == 1
        assert found["ringover_jobs_run_seconds_count", "write_record"] == 1
        assert found["ringover_jobs_runs_total", "done", "deliver"] == 1
        assert found["ringover_jobs_deliveries_total", "dead"] == 1
        assert found["process_cpu_seconds_total",] > 0
    await queue.aclose()


async def test_a_port_that_is_taken_is_named(redis_url: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        async with ai_jobs(redis_url, tmp_path / "calls", tmp_path, JOBS_PORT=number) as jobs:
            assert await jobs.exit_code() == 2
            assert "setting JOBS_PORT is wrong: " in jobs.log
            assert "Traceback" not in jobs.log


async def test_the_queue_stands_still_when_its_first_job_is_overdue(redis_url: str, broker: Broker) -> None:
    assert await overdue_s(broker) == 0
    now = time.time() * 1000
    await broker.execute("ZADD", QUEUE, now + 60_000, "later")
    assert await overdue_s(broker) == 0
    await broker.execute("ZADD", QUEUE, now - 5_000, "late")
    assert 5 <= await overdue_s(broker) < 10
    await broker.execute("DEL", QUEUE)


async def test_a_run_is_done_retried_cancelled_or_failed() -> None:
    metrics = Metrics()
    held = asyncio.Event()

    async def job(outcome: str) -> None:
        if outcome == "retried":
            raise Retry(defer=1)
        if outcome == "failed":
            raise ValueError("no")
        if outcome == "cancelled":
            await held.wait()

    counted = metrics.counted("job", job)
    await counted("done")
    for outcome, error in (("retried", Retry), ("failed", ValueError)):
        with pytest.raises(error):
            await counted(outcome)
    waiting = asyncio.create_task(counted("cancelled"))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    for outcome in ("done", "retried", "failed", "cancelled"):
        assert metrics.registry.get_sample_value("ringover_jobs_runs_total", {"task": "job", "outcome": outcome}) == 1


async def test_health_is_503_while_it_is_not_ready() -> None:
    ready = False
    async with httpx.AsyncClient(trust_env=False) as client:
        with serving("127.0.0.1", 0, CollectorRegistry(), lambda: ready) as port:
            answer = await client.get(f"http://127.0.0.1:{port}/health")
            assert (answer.status_code, answer.json()) == (503, {"status": "down"})
            ready = True
            assert (await client.get(f"http://127.0.0.1:{port}/health?x=1")).status_code == 200
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/health")
