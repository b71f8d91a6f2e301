"""A call's turns as traces: which work belongs to which turn, when a turn begins and ends, and what is no turn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ai_worker.turn_traces import TurnTraces
from callbus.otlp import Tracer
from callbus.transcript import CallerSaid, TurnTimed
from support.otlp_collector import Collector, Taken


class Call:
    """One call's traces, on a clock of its own that is 1000 s behind the tracer's."""

    def __init__(self, tracer: Tracer, turn: int = 0) -> None:
        self._tracer = tracer
        self.traces = TurnTraces(tracer, "c1", {"agent": "library"}, turn=turn, follows="", now=self.now)

    def now(self) -> float:
        return self._tracer.now() - 1000

    def work(self, name: str, turn: int) -> None:
        self.traces.of(turn).child(name).end()

    def said(self, turn: int) -> None:
        self.traces.wrote(CallerSaid(0.0, 0.0, turn, "secret words", ""))


class Traced:
    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self.tracer = Tracer("ai-worker")

    async def turns(self) -> list[Taken]:
        await self.tracer.aclose()
        return sorted(self.collector.named("turn"), key=lambda turn: turn.attributes["turn.number"])

    def of(self, turn: Taken) -> list[str]:
        return [span.name for span in self.collector.trace(turn.trace) if span.name != "turn"]


@pytest.fixture
async def traced(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Traced]:
    async with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        yield Traced(collector)


async def test_work_for_the_next_turn_while_the_last_one_is_answered(traced: Traced) -> None:
    call = Call(traced.tracer)
    call.work("greeting", 0)
    call.traces.silent()
    call.traces.listening(1)
    call.traces.paused(call.now() - 0.3, sure=True)
    call.work("stt", 1)
    call.work("guess", 1)
    call.said(1)
    call.work("llm", 1)
    call.traces.wrote(TurnTimed(0.0, 1, {"stt_final": 210.0}, 300.0, {"in": 4.0, "out": 2.0}))
    call.traces.listening(2)
    call.traces.paused(call.now() - 0.2, sure=True)
    call.work("stt", 2)
    call.work("late sentence", 1)
    call.traces.silent()
    call.said(2)
    call.traces.close()
    greeting, first, second = await traced.turns()
    assert [turn.attributes["turn.number"] for turn in (greeting, first, second)] == [0, 1, 2]
    assert [turn.attributes["turn.answered"] for turn in (greeting, first, second)] == [True, True, False]
    assert traced.of(greeting) == ["greeting"]
    assert sorted(traced.of(first)) == sorted(
        ["voice to voice", "end of turn", "redis.in", "stt", "guess", "llm", "late sentence"]
    )
    assert sorted(traced.of(second)) == ["end of turn", "stt"]
    # From the caller's last sound, on the tracer's clock; and it was over before the next one began.
    [heard] = traced.collector.named("voice to voice")
    [way_in] = traced.collector.named("redis.in")
    assert heard.start == pytest.approx(first.start, rel=0, abs=1_000_000)
    assert (heard.end - heard.start) / 1e6 == pytest.approx(300, abs=0.01)
    assert (way_in.end - way_in.start) / 1e6 == pytest.approx(4, abs=0.01)
    assert (way_in.end - first.start) / 1e6 == pytest.approx(300, abs=50)
    assert heard.attributes["stage.stt_final_ms"] == 210.0
    assert all(turn.start <= turn.end for turn in (greeting, first, second))


async def test_a_noise_is_no_turn_and_the_turn_after_it_begins_anew(traced: Traced) -> None:
    call = Call(traced.tracer, turn=4)
    call.traces.listening(1)
    call.traces.paused(call.now() - 0.2, sure=True)
    call.work("stt", 5)
    # The same utterance, after a pause: still the same turn.
    call.traces.listening(1)
    call.work("stt", 5)
    call.traces.listening(2)
    call.traces.paused(call.now() - 0.1, sure=True)
    call.work("stt", 5)
    call.said(5)
    call.traces.close()
    noise, turn = await traced.turns()
    assert noise.attributes["turn.dismissed"] is True
    assert (turn.attributes["turn.number"], turn.attributes["turn.answered"]) == (5, False)
    assert traced.of(noise) == ["stt", "stt"]
    assert sorted(traced.of(turn)) == ["end of turn", "stt"]


async def test_keys_are_a_turn_without_a_sound(traced: Traced) -> None:
    call = Call(traced.tracer)
    call.said(1)
    call.work("llm", 1)
    # Silent for a moment before the first sound of its answer: it is not over.
    call.traces.silent()
    call.work("tts", 1)
    call.traces.close()
    [turn] = await traced.turns()
    assert traced.of(turn) == ["llm", "tts"]
    [tts] = traced.collector.named("tts")
    assert turn.end >= tts.end
