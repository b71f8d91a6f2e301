"""Each request to a provider is a span: who was asked, as whose substitute, how it ended, and never what was said."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ai_worker.providers.base import ProviderError, TextDelta
from callbus import tracing
from callbus.otlp import Span, Tracer
from support.otlp_collector import Collector
from support.scripted_chain import (
    HI,
    Scripted,
    ScriptedChat,
    ScriptedVoice,
    llm_chain,
    spoken,
    stt_chain,
    transcript,
    tts_chain,
)


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    async with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield collector


@pytest.fixture
async def turn(collector: Collector) -> AsyncIterator[Span]:
    """What the requests are for; the collector has all spans when `collected` is called."""
    tracer = Tracer("ai-worker")
    span = tracer.begin("turn", "c1")
    with tracing.under(span):
        yield span
    await tracer.aclose()


async def collected(collector: Collector, turn: Span) -> dict[str, dict[str, object]]:
    turn.end()
    await turn._tracer.aclose()
    [root] = collector.named("turn")
    requests = [span for span in collector.spans if span.name != "turn"]
    assert {span.parent for span in requests} == {root.id}
    return {span.name: {"failed": span.failed, **span.attributes} for span in requests}


async def test_a_substitute_says_so_and_a_failure_keeps_its_words(collector: Collector, turn: Span) -> None:
    error = ProviderError("a", "HTTP 500: no audio for 'my number is 0612345678'", retryable=True)
    assert await transcript(stt_chain(Scripted("a", [error]), Scripted("b"))) == "ok"
    found = await collected(collector, turn)
    first = {"failed": True, "call.id": "c1", "provider": "a", "model": "", "fallback": False}
    assert found["stt a"] == first | {"error.type": "ProviderError"}
    assert found["stt b"] == first | {"failed": False, "provider": "b", "fallback": True}


async def test_a_late_one_and_the_time_to_the_first_sound(collector: Collector, turn: Span) -> None:
    assert await spoken(tts_chain(ScriptedVoice("a", [5.0]), ScriptedVoice("b", [0.05, "x", "y"]))) == "xy"
    found = await collected(collector, turn)
    assert (found["tts a"]["error.type"], found["tts a"]["failed"]) == ("ProviderTimeout", True)
    first_ms = found["tts b"]["first_ms"]
    assert isinstance(first_ms, float)
    assert 40 < first_ms < 1_000
    assert "first_ms" not in found["tts a"]


async def test_an_answer_that_nobody_wants_any_more_is_no_failure(collector: Collector, turn: Span) -> None:
    stream = llm_chain(ScriptedChat("a", ["Yes", "No"])).stream(HI)
    assert isinstance(await anext(stream), TextDelta)
    await stream.aclose()
    found = await collected(collector, turn)
    assert found["llm a"]["failed"] is False
    assert found["llm a"]["cancelled"] is True
