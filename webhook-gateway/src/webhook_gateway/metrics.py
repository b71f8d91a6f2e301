"""What the gateway measures: every metric is declared here."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from webhook_gateway.events import KNOWN_EVENTS, WebhookEvent


class Metrics:
    """The metrics of one gateway, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
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

    def published(self, event: WebhookEvent) -> None:
        """Count an event; what comes from outside must not make new time series."""
        known = event.event in KNOWN_EVENTS.get(event.resource, ())
        self._events.labels(*((event.resource, event.event) if known else ("other", "other"))).inc()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
