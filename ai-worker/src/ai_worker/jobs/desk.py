"""What the jobs work with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ai_worker.jobs.metrics import Metrics
from ai_worker.jobs.prices import Prices
from ai_worker.jobs.queue import JobQueue
from ai_worker.jobs.summary import Scribe
from ai_worker.jobs.webhook import Webhook
from callbus.broker import Broker
from callbus.bucket import Bucket
from callbus.bucket_records import BucketRecords

WRITING = "writing"
"""The work of whoever changes a call's folder."""
STORING = "storing"
"""The work of whoever changes a call's files in the bucket."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A job is given up, and tried again, after `timeout_s`. Without `queue`, nothing follows the record.

    `webhook` (with `http`) is where records go, `scribe` writes summaries; None: that is not done.
    `bucket` is where the files go from `calls_dir`, `store_after_s` after they were written; None: they stay.
    `over_at` is when each call in the bucket was over (epoch s; None: its record doesn't say).
    """

    broker: Broker
    calls_dir: Path
    timeout_s: float
    queue: JobQueue | None = None
    webhook: Webhook | None = None
    http: httpx.AsyncClient | None = None
    scribe: Scribe | None = None
    retention_days: int = 0
    bucket: Bucket | None = None
    store_after_s: float = 0.0
    over_at: BucketRecords[float | None] | None = None
    prices: Prices | None = None
    metrics: Metrics = field(default_factory=Metrics)
