"""What is written down of a call: the conversation's entries made whole, what was used, and each note once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ai_worker.call_clock import CallClock
from ai_worker.chronicle import Chronicle
from ai_worker.conversation.history import History
from ai_worker.hops import Hops
from ai_worker.metrics import Metrics
from ai_worker.outbox import Outbox
from ai_worker.providers.usage import Usage
from ai_worker.turn_traces import TurnTraces
from callbus import keys, transcript
from callbus.broker import Broker
from callbus.busclock import BusClock
from callbus.media import Playback
from callbus.otlp import Tracer
from support.otlp_collector import Collector

NOTE = "tts: a is kept out; b took over"


class Book:
    """One call's chronicle, which has read the in stream up to `read_up_to`."""

    def __init__(self, broker: Broker, outbox: Outbox) -> None:
        self._broker = broker
        self.outbox = outbox
        self.history = History()
        self.hops = Hops()
        self.clock = CallClock(BusClock(), lambda: None)
        self.metrics = Metrics()
        self.read_up_to = b"7-0"
        self.chronicle = self.kept()

    def kept(self, traces: TurnTraces | None = None) -> Chronicle:
        return Chronicle(
            self.outbox, self.history, self.hops, self.clock, self.metrics, traces, lambda: self.read_up_to
        )

    async def written(self) -> list[transcript.Entry]:
        await self.outbox.flushed()
        return [transcript.decode(fields) for _, fields in await self._broker.range(keys.transcript("c1"))]


@pytest.fixture
async def book(broker: Broker) -> AsyncIterator[Book]:
    outbox = Outbox(broker, "c1")
    sending = asyncio.create_task(outbox.run())
    yield Book(broker, outbox)
    sending.cancel()
    await asyncio.wait([sending])


async def test_a_successor_is_told_where_to_go_on_listening(book: Book) -> None:
    book.chronicle.write(transcript.CallerSaid(2.0, 1.0, 1, "one", ""))
    book.read_up_to = b"9-3"
    book.chronicle.write(transcript.CallerSaid(4.0, 3.0, 2, "two", ""))
    book.chronicle.write(transcript.Answered(5.0, 2))
    assert await book.written() == [
        transcript.CallerSaid(2.0, 1.0, 1, "one", "7-0"),
        transcript.CallerSaid(4.0, 3.0, 2, "two", "9-3"),
        transcript.Answered(5.0, 2),
    ]


async def test_a_turns_times_are_completed_by_what_the_streamer_told(book: Book) -> None:
    book.hops.started(Playback(10.5, "started", "s1", sent_at=10.2))
    book.chronicle.write(transcript.TurnTimed(11.0, 1, {"stt": 100.0}, 800.0))
    [timed] = await book.written()
    assert isinstance(timed, transcript.TurnTimed)
    assert timed.stages == {"stt": 100.0, "first_audio_sent": 500.0}
    assert book.metrics.registry.get_sample_value("ringover_worker_voice_to_voice_seconds_count") == 1


async def test_what_was_used_is_of_the_turn_that_is_answered(book: Book) -> None:
    before = book.clock.now()
    book.history.turn = 3
    book.chronicle.used(Usage("llm", "chat", "a-model", "requests", 1, True))
    [used] = await book.written()
    assert isinstance(used, transcript.Used)
    assert (used.turn, used.seam, used.provider, used.model, used.unit) == (3, "llm", "chat", "a-model", "requests")
    assert (used.amount, used.told) == (1, True)
    assert before <= used.at <= book.clock.now()


@pytest.mark.parametrize(
    "between", [transcript.Answered(1.0, 1), transcript.CallerSaid(1.0, 0.5, 2, "two", ""), transcript.Noted(1.0, "x")]
)
async def test_who_takes_over_is_noted_once_for_each_answer(book: Book, between: transcript.Entry) -> None:
    for _ in range(2):
        for _ in range(3):
            book.chronicle.noted(NOTE)
        book.chronicle.write(between)
    notes = [entry.note for entry in await book.written() if isinstance(entry, transcript.Noted)]
    assert notes.count(NOTE) == (1 if isinstance(between, transcript.Noted) else 2)


async def test_the_traces_hear_of_it_too(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracer = Tracer("ai-worker")
        traces = TurnTraces(tracer, "c1", {}, turn=0, follows="", now=book.clock.now)
        book.kept(traces).write(transcript.CallerSaid(2.0, 1.0, 1, "one", ""))
        traces.close()
        await tracer.aclose()
    assert [span.attributes["turn.number"] for span in collector.named("turn")] == [1]
