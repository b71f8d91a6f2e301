"""The console command `ai-worker`."""

from __future__ import annotations

import asyncio
import gc
import os
import sys

import httpx
import structlog
from dotenv import dotenv_values

from ai_worker.agent_check import check_agents
from ai_worker.agent_watch import AgentWatcher
from ai_worker.agents import AgentError
from ai_worker.jobs.queue import JobQueue
from ai_worker.metrics import Metrics
from ai_worker.providers.base import ProviderError
from ai_worker.providers.suite import provider_suite
from ai_worker.settings import WorkerSettings
from ai_worker.tools import missing_secrets
from ai_worker.turn import TurnModelUnusable, turn_judge
from ai_worker.vad import VadService
from ai_worker.worker import Worker
from callbus import settings as callbus_settings
from callbus import tracing
from callbus.broker import connect
from callbus.process import run, stop_signal
from callbus.telemetry import setup_logging

SERVICE = "ai-worker"
log = structlog.get_logger()


def main() -> None:
    """Work until SIGTERM; or, as `ai-worker check-agents [DIR]`, check the agents' files."""
    if sys.argv[1:2] == ["check-agents"]:
        raise SystemExit(check_agents(sys.argv[2:]))
    settings = callbus_settings.load(WorkerSettings, SERVICE)
    setup_logging(SERVICE, level=settings.log_level, format=settings.log_format, numbers=settings.log_numbers)
    # Nothing here may ask a model hub for anything: models come with packages.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        agents = AgentWatcher(settings.agents_dir, providers=settings.all_providers)
    except AgentError as error:
        callbus_settings.fail(SERVICE, *error.problems)
    try:
        run(lambda: _serve(settings, agents))
    except* (ProviderError, TurnModelUnusable) as group:
        callbus_settings.fail(SERVICE, *(f"can't start: {error}" for error in group.exceptions))


async def _serve(settings: WorkerSettings, agents: AgentWatcher) -> None:
    stop = stop_signal()
    metrics, loop = Metrics(), asyncio.get_running_loop()
    metrics.watch("tasks", "Tasks of the event loop", lambda: len(asyncio.all_tasks(loop)))
    stop_metrics = metrics.serve("0.0.0.0", settings.worker_metrics_port) if settings.worker_metrics_port else None
    tracer = tracing.tracer(SERVICE, settings.otel_exporter_otlp_endpoint)
    judge = turn_judge(settings.turn_detector, settings.smart_turn_model)
    vad = VadService()
    jobs = JobQueue(settings.redis_url)
    # Tools name their secrets themselves, so they are no settings; they may stand in .env like those.
    secrets = {name: value for name, value in {**dotenv_values(".env"), **os.environ}.items() if value}
    for line in missing_secrets(agents.book.agents, secrets):
        log.warning("a tool will not work", problem=line)
    try:
        async with (
            connect(settings.redis_url) as broker,
            provider_suite(settings) as suite,
            httpx.AsyncClient(follow_redirects=False) as http,
        ):
            preparing = asyncio.create_task(suite.keep_prepared(lambda: agents.book.agents))
            worker = Worker(
                broker,
                agents,
                suite,
                vad,
                jobs,
                http,
                secrets,
                metrics,
                capacity=settings.worker_capacity,
                guesses=settings.llm_guesses,
                turn_judge=judge,
                drain_timeout=settings.worker_drain_timeout,
                tracer=tracer,
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
        if stop_metrics:
            await asyncio.to_thread(stop_metrics)
        await jobs.aclose()
        await vad.aclose()
        if judge:
            await judge.aclose()
        if tracer:
            await tracer.aclose()
