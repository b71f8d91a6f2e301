"""ai-jobs: the process that runs the jobs. It outlives Redis' outages, and finishes its jobs when asked to stop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

import httpx
import structlog
from arq.cron import cron
from arq.worker import Worker, func
from redis.exceptions import RedisError

from ai_worker.jobs import commands, deliver, deliveries, queue, store, summarise, unstored, write_record
from ai_worker.jobs.desk import Desk
from ai_worker.jobs.events import EventReader
from ai_worker.jobs.forget import over_at, retention
from ai_worker.jobs.metrics import Counted
from ai_worker.jobs.prices import Prices
from ai_worker.jobs.settings import JobsSettings
from ai_worker.jobs.web import serving
from ai_worker.jobs.webhook import Webhook
from callbus import keys, process, registry, telemetry
from callbus.broker import connect
from callbus.bucket import Bucket
from callbus.bucket_records import BucketRecords
from callbus.errors import BadYaml, BusUnavailable
from callbus.settings import fail, load

SERVICE = "ai-jobs"
KIND = "jobs"
_HEALTH_EVERY_S = 30
_REDIS_RETRY_S = 1.0
_TIMEOUT_MARGIN_S = 5
"""arq gives a job up for good at its own time limit; ours comes first, and tries again."""
_RETENTION_MINUTE = 23

log = structlog.get_logger()


@dataclass(slots=True)
class _Health:
    """What the heartbeat says."""

    ready: bool = False
    queued: int = 0
    dead_letters: int = 0


def main() -> None:
    """Run jobs until SIGTERM; or, with a command, do what it says."""
    asked = commands.parse(sys.argv[1:])
    settings = load(JobsSettings, SERVICE)
    telemetry.setup_logging(SERVICE, level=settings.log_level, format=settings.log_format, numbers=settings.log_numbers)
    if asked.command:
        raise SystemExit(asyncio.run(commands.run(settings, asked)))
    try:
        settings.calls_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(SERVICE, f"setting CALLS_DIR is wrong: {error}; set it to a folder that can be written to")
    try:
        prices = Prices.read(settings.prices_file) if settings.prices_file else None
    except BadYaml as error:
        fail(SERVICE, *(f"setting PRICES_FILE is wrong: {problem}" for problem in error.problems))
    process.run(lambda: serve(settings, prices))


async def serve(settings: JobsSettings, prices: Prices | None) -> None:
    """Run jobs until SIGTERM or SIGINT."""
    stop = process.stop_signal()
    service_id = registry.new_service_id()
    health = _Health()
    async with _desk(settings, prices) as desk:
        stop_web = _serve_web(settings, desk, health)
        broker = desk.broker
        assert desk.queue is not None
        days = settings.retention_days
        keep_s = min(days * 86_400, keys.EVENTS_KEPT_S) if days else keys.EVENTS_KEPT_S
        reader = EventReader(broker, desk.queue, service_id, keep_s=keep_s)
        watching = [
            asyncio.create_task(_count_queue(desk, health)),
            asyncio.create_task(registry.keep_beating(broker, KIND, service_id, lambda: asdict(health))),
            asyncio.create_task(reader.run()),
        ]
        if desk.bucket is not None:
            watching.append(asyncio.create_task(unstored.watch(desk)))
        for task in watching:
            task.add_done_callback(lambda _: stop.set())  # one that fails takes the process with it, for all to see
        try:
            log.info(
                "ready for jobs",
                service_id=service_id,
                calls_dir=str(settings.calls_dir),
                bucket=settings.calls_bucket,
                delivers=desk.webhook is not None,
                summarises=desk.scribe is not None,
            )
            while not stop.is_set():
                try:
                    await _work(settings, desk, stop)
                except (RedisError, OSError) as error:
                    log.warning("Redis is away", reason=str(error) or type(error).__name__)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), _REDIS_RETRY_S)
        finally:
            for task in watching:
                task.cancel()
            ends = await asyncio.gather(*watching, return_exceptions=True)
            with suppress(BusUnavailable):
                await reader.leave()
                await registry.leave(broker, KIND, service_id)
            stop_web.close()
        for end in ends:
            if isinstance(end, Exception):
                raise end
        log.info("stopped")


@asynccontextmanager
async def _desk(settings: JobsSettings, prices: Prices | None) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(connect(settings.redis_url))
        jobs = queue.JobQueue(settings.redis_url)
        stack.push_async_callback(jobs.aclose)
        webhook, http = None, None
        if settings.calls_webhook_url and settings.calls_webhook_secret:
            webhook = Webhook(
                url=settings.calls_webhook_url,
                secret=settings.calls_webhook_secret.get_secret_value().encode(),
                timeout_s=settings.calls_webhook_timeout_s,
                window_s=settings.calls_webhook_retry_h * 3600,
                first_retry_s=settings.calls_webhook_first_retry_s,
            )
            http = await stack.enter_async_context(httpx.AsyncClient(follow_redirects=False))
        scribe = summarise.scribe_of(settings)
        if scribe:
            stack.push_async_callback(scribe.aclose)
        bucket = Bucket.of(settings)
        yield Desk(
            broker,
            settings.calls_dir,
            settings.jobs_timeout_s,
            jobs,
            webhook,
            http,
            scribe,
            settings.retention_days,
            bucket,
            settings.calls_bucket_after_s,
            BucketRecords(bucket, over_at) if bucket else None,
            prices,
        )


def _serve_web(settings: JobsSettings, desk: Desk, health: _Health) -> ExitStack:
    """Its `close` ends it."""
    stack = ExitStack()
    if settings.jobs_port:
        try:
            stack.enter_context(serving("0.0.0.0", settings.jobs_port, desk.metrics.registry, lambda: health.ready))
        except OSError as error:
            fail(SERVICE, f"setting JOBS_PORT is wrong: {error}; set it to a free port, or to 0")
    return stack


async def _count_queue(desk: Desk, health: _Health) -> None:
    broker, metrics = desk.broker, desk.metrics
    while True:
        try:
            health.queued = await broker.execute("ZCARD", queue.QUEUE)
            health.dead_letters = await deliveries.count(broker)
            metrics.queued.set(health.queued)
            metrics.dead_letters.set(health.dead_letters)
            metrics.overdue.set(await queue.overdue_s(broker))
            health.ready = True
        except BusUnavailable:
            health.ready = False
        await asyncio.sleep(registry.BEAT_EVERY_S)


async def _work(settings: JobsSettings, desk: Desk, stop: asyncio.Event) -> None:
    """Run arq's worker until `stop`. Raises what redis-py raises when Redis is away."""
    redis: Any = queue.connect(settings.redis_url)
    counted = desk.metrics.counted
    worker = Worker(
        [
            func(counted(queue.RECORD, write_record.write_record), name=queue.RECORD, max_tries=write_record.MAX_TRIES),
            func(
                counted(queue.DELIVER, deliver.deliver),
                name=queue.DELIVER,
                max_tries=deliver.MAX_TRIES,
                timeout=settings.calls_webhook_timeout_s + deliver.MARGIN_S,
            ),
            func(counted(queue.SUMMARISE, summarise.summarise), name=queue.SUMMARISE, max_tries=summarise.MAX_TRIES),
            func(counted(queue.STORE, store.store), name=queue.STORE, max_tries=store.MAX_TRIES),
        ],
        cron_jobs=_by_the_clock(settings, counted),
        queue_name=queue.QUEUE,
        redis_pool=redis,
        handle_signals=False,
        max_jobs=settings.jobs_concurrency,
        job_timeout=settings.jobs_timeout_s + _TIMEOUT_MARGIN_S,
        keep_result=0,  # a call may be recorded again at once
        health_check_interval=_HEALTH_EVERY_S,
        ctx={"desk": desk},
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


def _by_the_clock(settings: JobsSettings, counted: Counted) -> list[Any]:
    """What happens now and then, once however many ai-jobs there are."""
    jobs = []
    if settings.retention_days:
        jobs.append((retention, "retention", {_RETENTION_MINUTE}))
    if settings.calls_bucket:
        jobs.append((store.sweep, "sweep", set(store.SWEEP_MINUTES)))
    return [
        cron(
            counted(name, job),
            name=name,
            minute=minutes,
            run_at_startup=True,
            timeout=settings.jobs_timeout_s,
            max_tries=1,
        )
        for job, name, minutes in jobs
    ]


async def _name_the_call(ctx: dict[str, Any]) -> None:
    if call_id := queue.call_of(ctx["job_id"]):
        structlog.contextvars.bind_contextvars(call_id=call_id)
