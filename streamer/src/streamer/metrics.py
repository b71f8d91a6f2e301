"""What the streamer counts, and how Prometheus reads it. The hot path adds to plain ints; a scrape collects them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Counters:
    """Totals since the process began; the names are the metrics', between `streamer_` and `_total`."""

    connections_refused: int = 0
    handshakes_dropped: int = 0
    sessions_started: int = 0
    sessions_resumed: int = 0
    sessions_dropped: int = 0
    sessions_ended: int = 0
    endings_untold: int = 0
    frames_in: int = 0
    audio_frames_dropped: int = 0
    messages_unreadable: int = 0
    presses_dropped: int = 0
    rtp_concealed: int = 0
    rtp_dropped: int = 0
    rtp_resyncs: int = 0
    bus_entries: int = 0
    bus_entries_lost: int = 0
    bus_outages: int = 0
    commands: int = 0
    commands_unreadable: int = 0
    commands_stale: int = 0
    commands_repeated: int = 0
    commands_without_session: int = 0
    commands_refused: int = 0
    commands_failed: int = 0
    actions_repeated: int = 0
    pieces_out: int = 0
    breaks_out: int = 0
    playout_underruns: int = 0
    playout_late_chunks: int = 0
    fallbacks: int = 0
    slow_readers_dropped: int = 0
    silent_clients_dropped: int = 0


class Metrics(Collector):
    """Counters, gauges (name → how to read it) and the time that a tick's trip to Redis takes."""

    def __init__(self, counters: Counters, gauges: Mapping[str, Callable[[], float]]) -> None:
        self._counters = counters
        self._gauges = gauges
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.bus_seconds = Histogram(
            "streamer_bus_write_seconds",
            "Time to write one tick's entries to Redis",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0),
            registry=self._registry,
        )
        self._registry.register(self)

    def collect(self) -> Iterator[Metric]:
        for name in (field.name for field in fields(Counters)):
            family = CounterMetricFamily(f"streamer_{name}", name.replace("_", " "))
            family.add_metric([], getattr(self._counters, name))
            yield family
        for name, read in self._gauges.items():
            gauge = GaugeMetricFamily(f"streamer_{name}", name.replace("_", " "))
            gauge.add_metric([], read())
            yield gauge

    def page(self) -> bytes:
        """The exposition, as text."""
        return generate_latest(self._registry)
