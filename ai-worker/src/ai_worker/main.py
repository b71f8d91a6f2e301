"""The console command `ai-worker`."""

from __future__ import annotations

import asyncio
import gc
import os

import structlog

from ai_worker.agents import AgentBook, AgentError, load_agents
from ai_worker.jobs.queue import JobQueue
from ai_worker.providers.base import ProviderError
from ai_worker.providers.suite import provider_suite
from ai_worker.settings import WorkerSettings
from ai_worker.vad import VadService
from ai_worker.worker import Worker
from callbus import settings as callbus_settings
from callbus.broker import connect
from callbus.process import run, stop_signal
from callbus.telemetry import setup_logging

SERVICE = "ai-worker"
log = structlog.get_logger()


def main() -> None:
    """Work until SIGTERM."""
    settings = callbus_settings.load(WorkerSettings, SERVICE)
    setup_logging(SERVICE, level=settings.log_level, format=settings.log_format)
    # Nothing here may ask a model hub for anything: models come with packages.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        agents = load_agents(settings.agents_dir)
    except AgentError as error:
        callbus_settings.fail(SERVICE, *error.problems)
    try:
        run(lambda: _serve(settings, agents))
    except* ProviderError as group:
        callbus_settings.fail(SERVICE, *(f"can't start: {error}" for error in group.exceptions))


async def _serve(settings: WorkerSettings, agents: AgentBook) -> None:
    stop = stop_signal()
    vad = VadService()
    jobs = JobQueue(settings.redis_url)
    try:
        async with connect(settings.redis_url) as broker, provider_suite(settings) as suite:
            preparing = asyncio.create_task(suite.prepare(agents.agents))
            worker = Worker(
                broker,
                agents,
                suite,
                vad,
                jobs,
                capacity=settings.worker_capacity,
                drain_timeout=settings.worker_drain_timeout,
            )
            # What is loaded stays: a full collection over the SDKs' objects would hold up every call for 70 ms.
            gc.collect()
            gc.freeze()
            try:
                await worker.run(stop)
            finally:
                preparing.cancel()
                await asyncio.wait([preparing])
    finally:
        await jobs.aclose()
        await vad.aclose()
