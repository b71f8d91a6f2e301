"""What a worker measures: every metric is declared here."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server

from ai_worker.audio_way import AudioWay
from callbus import transcript

# From a Redis hop to a turn that went wrong.
_SECONDS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.0, 3.0, 5.0)
_HOP = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, 0.5, 1.0, 5.0)


class Metrics:
    """The metrics of one worker, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.audio_way = AudioWay()
        self.registry.register(self.audio_way)
        self._stages = Histogram(
            "ringover_worker_turn_stage_seconds",
            "From the caller's last speech to each stage of the answer",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._voice_to_voice = Histogram(
            "ringover_worker_voice_to_voice_seconds",
            "From the caller's last speech to the bot's first audio, by the streamer's clock",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._hop = Histogram(
            "ringover_worker_hop_seconds",
            "Ways through Redis, once a turn, clocks corrected: the caller's audio in, the answer's first audio out",
            ["way"],
            buckets=_HOP,
            registry=self.registry,
        )
        self._guesses = Counter(
            "ringover_worker_guesses",
            "Answers begun before the caller's turn was over: used, or thrown away",
            ["outcome"],
            registry=self.registry,
        )
        self._head_start = Histogram(
            "ringover_worker_guess_head_start_seconds",
            "How much earlier the language model was asked, in turns whose guess was used",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._calls = Counter("ringover_worker_calls", "Finished calls", ["outcome"], registry=self.registry)
        self._interruptions = Counter(
            "ringover_worker_interruptions", "Sentences that were cut while heard", registry=self.registry
        )
        self._takeovers = Counter(
            "ringover_worker_takeovers", "Calls taken over from another worker", registry=self.registry
        )

    def watch(self, name: str, what: str, read: Callable[[], float]) -> None:
        """A gauge that is read when it is asked for."""
        Gauge(f"ringover_worker_{name}", what, registry=self.registry).set_function(read)

    def took_over(self) -> None:
        self._takeovers.inc()

    def guessed(self, *, used: bool) -> None:
        self._guesses.labels("used" if used else "discarded").inc()

    def wrote(self, entry: transcript.Entry) -> None:
        """What the transcript tells of a turn or a call."""
        match entry:
            case transcript.TurnTimed():
                for stage, ms in entry.stages.items():
                    self._stages.labels(stage).observe(ms / 1000)
                head_start = entry.stages.get("turn_end", 0.0) - entry.stages.get("llm_asked", math.inf)
                if head_start > 0:
                    self._head_start.observe(head_start / 1000)
                for way, ms in entry.hops.items():
                    self._hop.labels(way).observe(ms / 1000)
                if entry.voice_to_voice_ms is not None:
                    self._voice_to_voice.observe(max(0.0, entry.voice_to_voice_ms / 1000))
            case transcript.BotHeard() if entry.interrupted and entry.heard_text:
                self._interruptions.inc()
            case transcript.Finished():
                self._calls.labels(entry.outcome).inc()
            case _:
                pass

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Serve `/metrics` from a thread; what stops it. Raises OSError when the port is taken."""
        server: Any
        server, thread = start_http_server(port, host, self.registry)

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return stop
