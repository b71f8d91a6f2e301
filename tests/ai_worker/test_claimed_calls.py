"""A claimed call from its claim to its end: taken up where another worker left it, given up when it broke too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ai_worker.agent_watch import AgentWatcher
from ai_worker.claimed_calls import MOST_ATTEMPTS, ClaimedCalls
from ai_worker.jobs.queue import QUEUE, JobQueue
from ai_worker.metrics import Metrics
from ai_worker.providers.attempts import Counts
from ai_worker.providers.suite import Suite
from ai_worker.reader import MediaReader
from ai_worker.vad import VadService
from callbus import calls, commands, keys, sessions, transcript
from callbus.broker import Broker
from callbus.busclock import BusClock
from callbus.claims import Claims, Lease
from callbus.errors import LeaseLost
from callbus.otlp import Tracer
from support.otlp_collector import Collector
from support.scripted_chain import Scripted, ScriptedChat, ScriptedVoice, llm_chain, stt_chain, tts_chain
from support.waiting import until

AGENT = "name: library\ngreeting: Hello.\ninstructions: Be brief.\n"
COMMANDS = keys.commands("s1")


class Desk:
    """One worker's claimed calls, with a real Redis, real jobs and providers of the test's own."""

    def __init__(self, broker: Broker, redis_url: str, http: httpx.AsyncClient, agents: Path) -> None:
        self.broker = broker
        self.claims = Claims(broker, "w2")
        self.jobs = JobQueue(redis_url)
        self.metrics = Metrics()
        self.vad = VadService()
        self.reader = MediaReader(broker, self.vad, self.metrics.audio_way)
        self._http = http
        self._agents = agents

    def claimed_calls(self, agent: str = AGENT, *, tracer: Tracer | None = None) -> ClaimedCalls:
        (self._agents / "library.yaml").write_text(agent, encoding="utf-8")
        chains = stt_chain(Scripted("stt")), llm_chain(ScriptedChat("chat")), tts_chain(ScriptedVoice("voice"))
        return ClaimedCalls(
            self.broker,
            self.claims,
            self.reader,
            AgentWatcher(self._agents),
            Suite(*chains, Counts()),
            self.jobs,
            self._http,
            {},
            self.metrics,
            worker="w2",
            bus_clock=BusClock(),
            guesses=1,
            turn_judge=None,
            tracer=tracer,
        )

    async def claimed(self, *, workers_before: int = 0) -> Lease:
        """A call at the streamer s1 that has outlived so many workers."""
        await sessions.attach(self.broker, "c1", streamer="s1", session="m1", sample_rate=8000)
        await self.broker.append(COMMANDS, commands.encode(commands.Break("c0", 1)), maxlen=10)
        await self.broker.execute("EXPIRE", COMMANDS, 60)
        [waiting] = await self.claims.take_new(1, block_ms=100)
        for _ in range(workers_before):
            await self.claims.begin(waiting)
        lease = await self.claims.begin(waiting)
        assert lease
        return lease

    async def ordered(self) -> list[commands.Command]:
        return [commands.decode(fields) for _, fields in (await self.broker.range(COMMANDS))[1:]]

    async def announced(self) -> list[calls.LifecycleEvent]:
        return [calls.LifecycleEvent.from_fields(fields) for _, fields in await self.broker.range(keys.EVENTS)]

    async def written(self, entry: transcript.Entry) -> None:
        """By a worker before."""
        stream = keys.transcript("c1")
        await self.broker.append(stream, transcript.encode(entry), maxlen=keys.TRANSCRIPT_MAXLEN)
        await self.broker.execute("EXPIRE", stream, keys.CALL_TTL_S)


@pytest.fixture
async def desk(broker: Broker, redis_url: str, tmp_path: Path) -> AsyncIterator[Desk]:
    async with httpx.AsyncClient() as http:
        desk = Desk(broker, redis_url, http, tmp_path)
        reading = asyncio.create_task(desk.reader.run())
        try:
            yield desk
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            await desk.vad.aclose()
            await desk.jobs.aclose()
            await broker.execute("DEL", QUEUE)


async def end_of_media(desk: Desk) -> None:
    await sessions.end(desk.broker, "c1", session="m1", reason="the caller hung up")


@pytest.mark.parametrize(
    ("agent", "number"),
    [(AGENT, ""), (AGENT + "transfer: {human: '33187654321'}\nfallback_transfer: human\n", "33187654321")],
)
async def test_a_call_that_broke_too_many_workers_goes_to_a_person_or_ends(desk: Desk, agent: str, number: str) -> None:
    lease = await desk.claimed(workers_before=MOST_ATTEMPTS)
    await desk.claimed_calls(agent).live_through(lease)
    action_id = f"{lease.epoch}-give-up"
    transfer = commands.Transfer("c1", lease.epoch, action_id, number)
    assert await desk.ordered() == [transfer if number else commands.Hangup("c1", lease.epoch, action_id)]
    state = await calls.get(desk.broker, "c1")
    assert (state["conversation"], state["outcome"], state["agent"]) == ("finished", "failed", "library")
    assert await desk.broker.execute("ZRANGE", QUEUE, 0, -1) == [b"record:c1"]
    assert [event.event for event in await desk.announced()] == ["claimed", "finished"]


async def test_the_last_worker_but_one_still_tries(desk: Desk) -> None:
    lease = await desk.claimed(workers_before=MOST_ATTEMPTS - 1)
    await end_of_media(desk)
    await asyncio.wait_for(desk.claimed_calls().live_through(lease), 10)
    assert (await calls.get(desk.broker, "c1"))["outcome"] == "caller_left"


async def test_a_call_is_taken_up_where_it_was_left(desk: Desk) -> None:
    """Also when a newer version has written of it what this one can't read."""
    lease = await desk.claimed(workers_before=1)
    await desk.written(transcript.Claimed(1.0, "w1", 1, "library"))
    await desk.written(transcript.BotSays(1.1, "1.1", "Hello."))
    await desk.written(transcript.BotHeard(1.5, "1.1", "Hello.", False, 1.2))
    await desk.broker.append(keys.transcript("c1"), {b"k": b"from the future", b"j": b"{}"}, maxlen=100)
    await desk.written(transcript.CallerSaid(3.0, 2.0, 1, "What are your hours?", "0-0"))
    living = asyncio.create_task(desk.claimed_calls().live_through(lease))

    async def taken_over() -> bool:
        return commands.TakeOver("c1", lease.epoch) in await desk.ordered()

    await until(taken_over, what="the take-over")
    await end_of_media(desk)
    await asyncio.wait_for(living, 10)
    entries = [fields for _, fields in await desk.broker.range(keys.transcript("c1"))]
    since = [transcript.decode(fields) for fields in entries[5:]]
    assert isinstance(since[0], transcript.Claimed)
    assert not [entry for entry in since if isinstance(entry, transcript.BotSays) and entry.text == "Hello."]
    assert desk.metrics.registry.get_sample_value("ringover_worker_takeovers_total") == 1


async def test_a_call_that_another_worker_took_is_not_finished_twice(desk: Desk) -> None:
    lease = await desk.claimed()
    here = desk.claimed_calls()
    await desk.claims.release(lease)
    await Claims(desk.broker, "w3").take_abandoned(1)
    await end_of_media(desk)
    with pytest.raises(LeaseLost):
        await asyncio.wait_for(here.live_through(lease), 10)
    assert [event.event for event in await desk.announced()] == ["claimed"]


@pytest.mark.parametrize("webhook", [True, False])
async def test_the_wait_for_a_worker_is_in_the_trace_of_the_calls_webhook(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, webhook: bool
) -> None:
    async with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        tracer = Tracer("ai-worker")
        first = tracer.begin("webhook", "c1", {})
        lease = await desk.claimed()
        if webhook:
            await calls.update(desk.broker, "c1", traceparent=first.traceparent)
        first.end()
        await end_of_media(desk)
        await asyncio.wait_for(desk.claimed_calls(tracer=tracer).live_through(lease), 10)
        await tracer.aclose()
    [claim], [came] = collector.named("claim"), collector.named("webhook")
    assert (claim.trace == came.trace, claim.parent == came.id) == (webhook, webhook)
    assert (claim.attributes["worker"], claim.attributes["call.epoch"]) == ("w2", lease.epoch)
    assert claim.start / 10**6 == pytest.approx(int(lease.entry.partition("-")[0]), abs=0.01)
