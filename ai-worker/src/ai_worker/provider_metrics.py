"""What a worker's providers did: what was used of them, how often they failed, who is kept out."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ai_worker.providers.suite import Suite


class ProviderMetrics(Collector):
    """All calls of a worker, and what was prepared for them. Read by scrapes, which are threads of their own."""

    def __init__(self, providers: Suite) -> None:
        self._providers = providers

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        counts = self._providers.counts
        usage = CounterMetricFamily(
            "ringover_worker_provider_usage",
            "What requests used of a provider, in its unit; told: whether the provider said so, else measured here",
            labels=["seam", "provider", "model", "unit", "told"],
        )
        for (seam, provider, model, unit, told), amount in list(counts.used.items()):
            usage.add_metric([seam, provider, model, unit, "yes" if told else "no"], amount)
        yield usage
        for name, what, counted in (
            ("failures", "Requests that a provider failed, refused, or was late with", counts.failures),
            ("switches", "Requests that another provider took over from this one", counts.switches),
        ):
            family = CounterMetricFamily(f"ringover_worker_provider_{name}", what, labels=["seam", "provider"])
            for (seam, provider), times in list(counted.items()):
                family.add_metric([seam, provider], times)
            yield family
        out = GaugeMetricFamily(
            "ringover_worker_provider_kept_out",
            "1 while a provider's circuit is not closed",
            labels=["seam", "provider"],
        )
        for seam, states in self._providers.state().items():
            for provider, known in states.items():
                out.add_metric([seam, provider], float(known["state"] != "closed"))
        yield out
