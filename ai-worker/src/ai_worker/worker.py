"""A worker: claims calls while it has room, keeps its leases, runs each call as a task, hands on what is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from ai_worker.agent_watch import AgentWatcher
from ai_worker.agents import Agent
from ai_worker.call import CallTask
from ai_worker.casting import persona_of, turn_taking_of
from ai_worker.conversation.history import History
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.fair_share import HOLD_BACK_S, FairShare
from ai_worker.jobs.queue import JobQueue
from ai_worker.metrics import Metrics
from ai_worker.provider_metrics import ProviderMetrics
from ai_worker.providers.suite import Suite
from ai_worker.reader import MediaReader
from ai_worker.tools import ToolBox
from ai_worker.turn import TurnJudge
from ai_worker.vad import VadService
from callbus import calls, commands, keys, registry, tracing, transcript
from callbus.broker import Broker, StreamEntry, until_available, xadd
from callbus.busclock import BusClock
from callbus.claims import RENEW_EVERY_S, Claims, Lease, Waiting
from callbus.errors import BadMessage, BusUnavailable, LeaseLost

if TYPE_CHECKING:
    from callbus.otlp import Tracer

KIND = "worker"
MOST_AT_ONCE = 4
"""Calls of a dead worker that one successor takes before the others have their turn."""
LOOK_EVERY_MS = 250
"""How often it is looked for calls that another worker left behind: their callers wait."""
MOST_EPOCHS = 6
"""A call that has outlived this many workers breaks them: it is handed to a person, or ended."""

log = structlog.get_logger()


class Worker:
    """`run` until `stop` is set; then no new calls, and the running ones to their end within `drain_timeout` s.

    `secrets` are the values that the agents' tools may name.
    """

    def __init__(
        self,
        broker: Broker,
        agents: AgentWatcher,
        providers: Suite,
        vad: VadService,
        jobs: JobQueue,
        http: httpx.AsyncClient,
        secrets: Mapping[str, str],
        metrics: Metrics,
        *,
        capacity: int,
        guesses: int,
        turn_judge: TurnJudge | None,
        drain_timeout: float,
        tracer: Tracer | None = None,
    ) -> None:
        self.id = registry.new_service_id()
        self._broker = broker
        self._agents = agents
        self._providers = providers
        self._jobs = jobs
        self._http = http
        self._secrets = secrets
        self._metrics = metrics
        metrics.registry.register(ProviderMetrics(providers))
        metrics.watch("calls_held", "Calls that this worker holds", lambda: len(self._running))
        self._capacity = capacity
        self._guesses = guesses
        self._turn_judge = turn_judge
        self._drain_timeout = drain_timeout
        self._claims = Claims(broker, self.id)
        self._reader = MediaReader(broker, vad, metrics.audio_way)
        self._bus_clock = BusClock()
        self._tracer = tracer
        if tracer:
            tracer.clock = self._bus_clock
        self._running: dict[Lease, asyncio.Task[None]] = {}
        self._lost: set[Lease] = set()
        self._share = FairShare(broker, self._claims, KIND, self.id)
        self._room = asyncio.Event()
        self._room.set()
        self._draining = False
        self._calls_total = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work. Raises whatever is a fault of this program; Redis being away is not."""
        async with asyncio.TaskGroup() as group:
            try:
                await self._claims.prepare()
            except BusUnavailable as error:
                log.warning("no calls until Redis is there", error=str(error))
                await until_available(self._claims.prepare)
            claiming = group.create_task(self._claim())
            others = [
                group.create_task(self._renew()),
                group.create_task(self._reader.run()),
                group.create_task(self._bus_clock.run(self._broker)),
                group.create_task(self._agents.run()),
                group.create_task(self._share.watch()),
                group.create_task(registry.keep_beating(self._broker, KIND, self.id, self._info)),
            ]
            log.info("worker ready", worker=self.id, capacity=self._capacity, **self._providers.names)
            await stop.wait()
            self._draining = True
            claiming.cancel()
            log.info("draining", worker=self.id, calls=len(self._running))
            await self._drain()
            for task in others:
                task.cancel()
        try:
            await self._claims.leave()
            await registry.leave(self._broker, KIND, self.id)
        except BusUnavailable:
            log.warning("left without saying so: Redis is away", worker=self.id)

    def _info(self) -> dict[str, Any]:
        return {
            "ready": True,
            "calls": len(self._running),
            "capacity": self._capacity,
            "calls_total": self._calls_total,
            "draining": self._draining,
            "providers": self._providers.names,
            "provider_state": self._providers.state(),
            "provider_counts": self._providers.counts.as_dict(),
            "agents": [
                {
                    "name": agent.name,
                    "numbers": agent.numbers,
                    "language": agent.language,
                    "default": agent is self._agents.book.default,
                }
                for agent in self._agents.book.agents
            ],
        }

    # --- leases

    async def _claim(self) -> None:
        """Take what waits while there is room, and what other workers left behind.

        One call at a time, or a few: of many that wait at once, or whose worker died, every worker gets its share.
        """
        looked, certain = 0.0, True
        while True:
            await self._room.wait()
            try:
                if not certain:
                    # Whom an answer was on its way to when the connection broke, nobody else will take for a while.
                    for waiting in await self._claims.owned():
                        await self._take(waiting)
                    certain = True
                held_back = await self._share.holds_back()
                if held_back:
                    await asyncio.sleep(HOLD_BACK_S)
                taken: list[Waiting] = []
                if time.monotonic() - looked >= LOOK_EVERY_MS / 1000:
                    taken = await self._claims.take_abandoned(MOST_AT_ONCE)
                    # Where there was one there may be more.
                    looked = looked if taken else time.monotonic()
                if not taken:
                    taken = await self._claims.take_new(1, block_ms=1 if held_back else LOOK_EVERY_MS)
                for waiting in taken:
                    await self._take(waiting)
            except BusUnavailable:
                certain = False
                await asyncio.sleep(0.2)

    async def _take(self, waiting: Waiting) -> None:
        if any(lease.entry == waiting.entry for lease in self._running):
            return  # its own, after a stall in which nobody else took it: claiming it has renewed the lease
        try:
            lease = await self._claims.begin(waiting)
        except LeaseLost:
            return
        if lease is None:
            return
        task = asyncio.create_task(self._live(lease), name=f"call {lease.call_id}")
        self._running[lease] = task
        self._calls_total += 1
        task.add_done_callback(lambda _: self._gone(lease))
        if len(self._running) >= self._capacity:
            self._room.clear()

    def _gone(self, lease: Lease) -> None:
        del self._running[lease]
        self._lost.discard(lease)
        self._room.set()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                lost = await self._claims.renew(list(self._running))
            except BusUnavailable:
                continue
            for lease in lost:
                if task := self._running.get(lease):
                    self._lost.add(lease)
                    task.cancel()

    async def _drain(self) -> None:
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=self._drain_timeout)
        for lease, task in list(self._running.items()):
            task.cancel()
            await asyncio.wait([task])
            await self._claims.release(lease)

    # --- one call

    async def _live(self, lease: Lease) -> None:
        """A call from its claim to its end on this worker. Its faults are its own: another worker may do better."""
        with structlog.contextvars.bound_contextvars(call_id=lease.call_id, epoch=lease.epoch):
            try:
                await self._converse(lease)
            except asyncio.CancelledError:
                if lease in self._lost:
                    log.warning("another worker took the call")
                raise
            except LeaseLost as error:
                log.warning("call left to its new worker", reason=str(error))
            except Exception:
                log.exception("a call failed on this worker; another may take it")
                await until_available(lambda: self._claims.release(lease))

    async def _converse(self, lease: Lease) -> None:
        state = await calls.get(self._broker, lease.call_id)
        agent = self._agents.book.for_number(state.get("to_number", "")).for_call(state)
        await calls.update(self._broker, lease.call_id, agent=agent.name)
        await self._announce(lease, "claimed", {"worker": self.id, "epoch": lease.epoch, "agent": agent.name})
        if lease.epoch > MOST_EPOCHS:
            await self._give_up(lease, agent, state)
            return
        call, after = await self._prepare(lease, agent, state)
        self._reader.add(call, after)
        try:
            finish = await call.run()
        finally:
            self._reader.remove(call)
        await self._finish(lease, finish.outcome, finish.reason)

    async def _prepare(self, lease: Lease, agent: Agent, state: dict[str, str]) -> tuple[CallTask, bytes]:
        """The call's task, with its history if it has one, and the entry after which it listens."""
        history, past, after = History(), b"0-0", b"0-0"
        if lease.takeover:
            entries = await self._broker.range(keys.transcript(lease.call_id))
            self._metrics.took_over()
            history = rebuilt_history(_readable(entries))
            past = await self._broker.last_id(keys.media_in(lease.call_id))
            after = (history.resume_from or "0-0").encode()
            structlog.contextvars.bind_contextvars(turn=history.turn)
            log.info("taking over", turns=history.turn, unsettled=len(history.unsettled))
        begun = float(state.get("claimed_at") or time.time())
        tools = ToolBox(agent, self._http, self._secrets, session=lease.call_id)
        call = CallTask(
            lease,
            agent,
            persona_of(agent, tools, begun=datetime.fromtimestamp(begun, UTC)),
            turn_taking_of(agent, guesses=self._guesses),
            self._providers.of(agent.providers),
            tools,
            self._broker,
            metrics=self._metrics,
            bus_clock=self._bus_clock,
            turn_judge=self._turn_judge,
            worker=self.id,
            streamer=state.get("streamer", ""),
            sample_rate=int(state.get("sample_rate") or 8000),
            history=history,
            past=past,
            elapsed=max(0.0, time.time() - begun),
            tracer=self._tracer,
            arrival=self._trace_claim(lease, state),
        )
        return call, after

    def _trace_claim(self, lease: Lease, state: dict[str, str]) -> str:
        """The call's wait for a worker, in the trace of its first webhook where that has one; the traceparent of it."""
        if self._tracer is None:
            return ""
        waited_since = int(lease.entry.partition("-")[0]) / 1000
        about: tracing.Attributes = {"worker": self.id, "call.epoch": lease.epoch, "takeover": lease.takeover}
        if webhook := state.get("traceparent"):
            span = self._tracer.joined(webhook, lease.call_id).child("claim", about, start=waited_since)
        else:
            span = self._tracer.begin("claim", lease.call_id, about, start=waited_since)
        span.end()
        return span.traceparent

    async def _finish(self, lease: Lease, outcome: str, reason: str) -> None:
        log.info("call finished", outcome=outcome, reason=reason)
        # Asked for before the lease is given back: a crash in between asks twice, and never not at all.
        await until_available(lambda: self._jobs.record(lease.call_id))
        await until_available(lambda: self._claims.finish(lease, outcome=outcome))
        await self._announce(lease, "finished", {"outcome": outcome, "reason": reason})

    async def _give_up(self, lease: Lease, agent: Agent, state: dict[str, str]) -> None:
        log.error("the call has outlived too many workers; it is handed to a person, or ended")
        number = agent.transfer.get(agent.fallback_transfer or "", "")
        action_id = f"{lease.epoch}-give-up"
        command: commands.Command = (
            commands.Transfer(lease.call_id, lease.epoch, action_id, number)
            if number
            else commands.Hangup(lease.call_id, lease.epoch, action_id)
        )
        stream = keys.commands(state.get("streamer", ""))
        await self._broker.execute(*xadd(stream, commands.encode(command), maxlen=keys.COMMANDS_MAXLEN, create=False))
        await self._finish(lease, "failed", "too many workers failed on it")

    async def _announce(self, lease: Lease, event: str, data: dict[str, Any]) -> None:
        lifecycle = calls.LifecycleEvent("conversation", event, lease.call_id, time.time(), source="worker", data=data)
        await until_available(lambda: calls.publish(self._broker, lifecycle))


def _readable(entries: list[StreamEntry]) -> Iterator[transcript.Entry]:
    """The transcript as far as this version knows it: in a deploy, a newer worker may have written the call so far."""
    for entry_id, fields in entries:
        try:
            yield transcript.decode(fields)
        except BadMessage as error:
            log.warning("an entry of the transcript can't be read", entry=entry_id.decode(), error=str(error))
