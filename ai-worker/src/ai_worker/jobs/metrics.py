"""What ai-jobs measures: every metric is declared here."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeAlias

from arq import Retry
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

Job: TypeAlias = Callable[..., Coroutine[Any, Any, None]]
Counted: TypeAlias = Callable[[str, Job], Job]

_OUTCOMES = ("done", "retried", "cancelled", "failed")
_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The metrics of one ai-jobs, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._runs = Counter(
            "ringover_jobs_runs",
            "Runs of jobs: done, retried (it comes again later), cancelled (given back), or failed for good",
            ["task", "outcome"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "ringover_jobs_run_seconds", "How long a job ran", ["task"], buckets=_SECONDS, registry=self.registry
        )
        self.queued = Gauge(
            "ringover_jobs_queued", "Jobs in the queue of all ai-jobs, those for later too", registry=self.registry
        )
        self.overdue = Gauge(
            "ringover_jobs_oldest_overdue_seconds",
            "How long ago the oldest job of the queue should have been done",
            registry=self.registry,
        )
        self.dead_letters = Gauge(
            "ringover_jobs_dead_letters", "Records that the customer's webhook did not take", registry=self.registry
        )
        self.deliveries = Counter(
            "ringover_jobs_deliveries",
            "Posts to the customer's webhook: delivered, retried (tried again later), or dead",
            ["outcome"],
            registry=self.registry,
        )
        for outcome in ("delivered", "retried", "dead"):
            self.deliveries.labels(outcome)
        self.unstored = Gauge(
            "ringover_jobs_unstored_files",
            "Files in CALLS_DIR that are to be stored in the bucket; 0 without one",
            registry=self.registry,
        )
        self.oldest_unstored = Gauge(
            "ringover_jobs_oldest_unstored_seconds",
            "How long ago the oldest of those files should have been in the bucket",
            registry=self.registry,
        )
        self.erased = Counter("ringover_jobs_calls_erased", "Calls erased for their age", registry=self.registry)

    def counted(self, name: str, job: Job) -> Job:
        """The job, with each of its runs counted. (A label `job` would be Prometheus' own.)"""
        # From zero on: what appears with its first failure has not increased for Prometheus.
        for outcome in _OUTCOMES:
            self._runs.labels(name, outcome)

        @wraps(job)
        async def run(*args: Any, **kwargs: Any) -> None:
            began, outcome = time.monotonic(), "cancelled"
            try:
                await job(*args, **kwargs)
                outcome = "done"
            except Retry:
                outcome = "retried"
                raise
            except Exception:
                outcome = "failed"
                raise
            finally:
                self._runs.labels(name, outcome).inc()
                self._seconds.labels(name).observe(time.monotonic() - began)

        return run
