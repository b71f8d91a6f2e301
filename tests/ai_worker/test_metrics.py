"""A worker's metrics, as Prometheus would read them."""

from __future__ import annotations

import socket

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ai_worker.metrics import Metrics
from callbus import transcript

LABELS = ("stage", "outcome", "way", "le")
HOPS = {"in": 12.0, "out": 3.0}


def samples(text: str) -> dict[tuple[str, str], float]:
    return {
        (sample.name, next((sample.labels[name] for name in LABELS if name in sample.labels), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_turns_and_calls_are_counted_and_served() -> None:
    metrics = Metrics()
    metrics.wrote(transcript.TurnTimed(1.0, 1, {"stt_final": 400.0, "playing": 700.0}, 690.0, HOPS))
    metrics.wrote(transcript.BotHeard(1.0, "1.1", "Hello", True))
    metrics.wrote(transcript.BotHeard(1.0, "1.2", "", True))
    metrics.wrote(transcript.Finished(1.0, "transferred", "closed"))
    metrics.wrote(transcript.TurnTimed(1.0, 2, {"llm_asked": 400.0, "turn_end": 600.0, "playing": 800.0}, 790.0))
    for used in (True, False, True):
        metrics.guessed(used=used)
    metrics.took_over()
    metrics.watch("calls_held", "Calls", lambda: 7)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    stop = metrics.serve("127.0.0.1", port)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://127.0.0.1:{port}/metrics")
    finally:
        stop()
    found = samples(answer.text)
    assert found["ringover_worker_turn_stage_seconds_count", "stt_final"] == 1
    assert found["ringover_worker_turn_stage_seconds_sum", "playing"] == 1.5
    assert found["ringover_worker_guesses_total", "used"] == 2
    assert found["ringover_worker_guesses_total", "discarded"] == 1
    assert found["ringover_worker_guess_head_start_seconds_sum", ""] == pytest.approx(0.2)
    assert found["ringover_worker_voice_to_voice_seconds_bucket", "0.8"] == 2
    assert found["ringover_worker_voice_to_voice_seconds_bucket", "0.65"] == 0
    assert found["ringover_worker_hop_seconds_sum", "in"] == 0.012
    assert found["ringover_worker_hop_seconds_sum", "out"] == 0.003
    assert found["ringover_worker_interruptions_total", ""] == 1
    assert found["ringover_worker_calls_total", "transferred"] == 1
    assert found["ringover_worker_takeovers_total", ""] == 1
    assert found["ringover_worker_calls_held", ""] == 7
