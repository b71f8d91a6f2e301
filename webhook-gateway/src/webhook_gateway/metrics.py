"""What the gateway measures: every metric is declared here."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from webhook_gateway.events import KNOWN_EVENTS, WebhookEvent

REFUSALS_KEPT = 20
_LONGEST_REASON = 200


class Metrics:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.received = 0
        """Webhooks since the process began, however they were answered."""
        self.refused: deque[dict[str, Any]] = deque(maxlen=REFUSALS_KEPT)
        """The last ones that were refused: when (epoch s) and why."""
        ProcessCollector(registry=self._registry)
        self.webhooks = Counter(
            "ringover_gateway_webhooks",
            "Webhooks by how they were answered",
            ["outcome"],
            registry=self._registry,
        )
        self._events = Counter(
            "ringover_gateway_events",
            "Published events; names that Ringover doesn't document count as other",
            ["resource", "event"],
            registry=self._registry,
        )
        self.verified = Counter(
            "ringover_gateway_verified",
            "Webhooks by what they were trusted for: v1, v3, hmac, path (secret in the URL) or none (insecure)",
            ["scheme"],
            registry=self._registry,
        )
        self.seconds = Histogram(
            "ringover_gateway_webhook_seconds",
            "From a webhook's headers to its answer",
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
            registry=self._registry,
        )
        tasks = Gauge(
            "ringover_gateway_tasks", "Tasks of the event loop, which serves this page", registry=self._registry
        )
        tasks.set_function(lambda: len(asyncio.all_tasks()))

    def answered(self, outcome: str, *, refused_for: str = "") -> None:
        """Count a webhook, and remember why it was refused, if it was."""
        self.webhooks.labels(outcome).inc()
        self.received += 1
        if refused_for:
            self.refused.append({"at": round(time.time(), 3), "reason": refused_for[:_LONGEST_REASON]})

    def published(self, event: WebhookEvent) -> None:
        """Count an event; what comes from outside must not make new time series."""
        known = event.event in KNOWN_EVENTS.get(event.resource, ())
        self._events.labels(*((event.resource, event.event) if known else ("other", "other"))).inc()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
