"""ai-jobs: the process that runs the jobs. It outlives Redis' outages, and finishes its jobs when asked to stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from arq.worker import Worker, func
from pydantic import Field
from redis.exceptions import RedisError

from ai_worker.jobs import queue
from ai_worker.jobs.write_record import MAX_TRIES, Desk, write_record
from callbus import process, registry, telemetry
from callbus.broker import Broker, connect
from callbus.errors import BusUnavailable
from callbus.settings import ServiceSettings, fail, load

SERVICE = "ai-jobs"
KIND = "jobs"
_HEALTH_EVERY_S = 30
_REDIS_RETRY_S = 1.0
_TIMEOUT_MARGIN_S = 5
"""arq gives a job up for good at its own time limit; ours comes first, and tries again."""

log = structlog.get_logger()


class JobsSettings(ServiceSettings):
    """What ai-jobs reads from the environment and `.env`."""

    calls_dir: Path = Field(
        Path("out/calls"),
        description="Folder with a folder for each call, its record and recording; the streamers write there, too",
    )
    jobs_concurrency: int = Field(4, ge=1, le=64, description="Jobs that run at the same time")
    jobs_timeout_s: float = Field(
        60,
        gt=0,
        le=3600,
        description="A job that takes longer (s) is tried again; a lost process's one 15 s after that",
    )
    jobs_drain_s: float = Field(20, ge=0, le=3600, description="How long (s) running jobs may go on after SIGTERM")


@dataclass(slots=True)
class _Health:
    """What the heartbeat says."""

    ready: bool = False
    queued: int = 0


def main() -> None:
    settings = load(JobsSettings, SERVICE)
    telemetry.setup_logging(SERVICE, level=settings.log_level, format=settings.log_format, numbers=settings.log_numbers)
    try:
        settings.calls_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(SERVICE, f"setting CALLS_DIR is wrong: {error}; set it to a folder that can be written to")
    process.run(lambda: serve(settings))


async def serve(settings: JobsSettings) -> None:
    """Run jobs until SIGTERM or SIGINT."""
    stop = process.stop_signal()
    service_id = registry.new_service_id()
    health = _Health()
    async with connect(settings.redis_url) as broker:
        watching = [
            asyncio.create_task(_count_queue(broker, health)),
            asyncio.create_task(
                registry.keep_beating(
                    broker, KIND, service_id, lambda: {"ready": health.ready, "queued": health.queued}
                )
            ),
        ]
        try:
            log.info("ready for jobs", service_id=service_id, calls_dir=str(settings.calls_dir))
            while not stop.is_set():
                try:
                    await _work(settings, broker, stop)
                except (RedisError, OSError) as error:
                    log.warning("Redis is away", reason=str(error) or type(error).__name__)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), _REDIS_RETRY_S)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            with suppress(BusUnavailable):
                await registry.leave(broker, KIND, service_id)
        log.info("stopped")


async def _count_queue(broker: Broker, health: _Health) -> None:
    while True:
        try:
            health.queued = await broker.execute("ZCARD", queue.QUEUE)
            health.ready = True
        except BusUnavailable:
            health.ready = False
        await asyncio.sleep(registry.BEAT_EVERY_S)


async def _work(settings: JobsSettings, broker: Broker, stop: asyncio.Event) -> None:
    """Run arq's worker until `stop`. Raises what redis-py raises when Redis is away."""
    redis: Any = queue.connect(settings.redis_url)
    worker = Worker(
        [func(write_record, name=queue.RECORD, max_tries=MAX_TRIES)],
        queue_name=queue.QUEUE,
        redis_pool=redis,
        handle_signals=False,
        max_jobs=settings.jobs_concurrency,
        job_timeout=settings.jobs_timeout_s + _TIMEOUT_MARGIN_S,
        keep_result=0,  # a call may be recorded again at once
        health_check_interval=_HEALTH_EVERY_S,
        ctx={"desk": Desk(broker, settings.calls_dir, settings.jobs_timeout_s)},
        on_job_start=_name_the_call,
        job_serializer=queue.to_json,
        job_deserializer=queue.from_json,
        log_results=False,
    )
    running = asyncio.create_task(worker.main())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        worker.allow_pick_jobs = False
        if jobs := list(worker.tasks.values()):
            log.info("finishing the running jobs", jobs=len(jobs))
            await asyncio.wait(jobs, timeout=settings.jobs_drain_s)
    finally:
        # A job that is cancelled goes back to the queue.
        left = [running, stopping, *worker.tasks.values()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await redis.aclose(close_connection_pool=True)


async def _name_the_call(ctx: dict[str, Any]) -> None:
    structlog.contextvars.bind_contextvars(call_id=queue.call_of(ctx["job_id"]))
