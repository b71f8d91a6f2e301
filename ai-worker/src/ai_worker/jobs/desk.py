"""What the jobs work with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx

from ai_worker.jobs.queue import JobQueue
from ai_worker.jobs.summary import Scribe
from ai_worker.jobs.webhook import Webhook
from callbus.broker import Broker

WRITING = "writing"
"""The work of whoever changes a call's folder."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A job is given up, and tried again, after `timeout_s`. Without `queue`, nothing follows the record.

    `webhook` (with `http`) is where records go, `scribe` writes summaries; None: that is not done.
    """

    broker: Broker
    calls_dir: Path
    timeout_s: float
    queue: JobQueue | None = None
    webhook: Webhook | None = None
    http: httpx.AsyncClient | None = None
    scribe: Scribe | None = None
    retention_days: int = 0
