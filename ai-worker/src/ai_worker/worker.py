"""A worker: claims calls while it has room, keeps its leases, runs each call as a task, hands on what is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from ai_worker.agent_watch import AgentWatcher
from ai_worker.claimed_calls import ClaimedCalls
from ai_worker.fair_share import HOLD_BACK_S, FairShare
from ai_worker.jobs.queue import JobQueue
from ai_worker.metrics import Metrics
from ai_worker.provider_metrics import ProviderMetrics
from ai_worker.providers.suite import Suite
from ai_worker.reader import MediaReader
from ai_worker.turn import TurnJudge
from ai_worker.vad import VadService
from callbus import registry
from callbus.broker import Broker, until_available
from callbus.busclock import BusClock
from callbus.claims import RENEW_EVERY_S, Claims, Lease, Waiting
from callbus.errors import BusUnavailable, LeaseLost

if TYPE_CHECKING:
    from callbus.otlp import Tracer

KIND = "worker"
MOST_AT_ONCE = 4
"""Calls of a dead worker that one successor takes before the others have their turn."""
LOOK_EVERY_MS = 250
"""How often it is looked for calls that another worker left behind: their callers wait."""

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
        metrics.registry.register(ProviderMetrics(providers))
        metrics.watch("calls_held", "Calls that this worker holds", lambda: len(self._running))
        self._capacity = capacity
        self._drain_timeout = drain_timeout
        self._claims = Claims(broker, self.id)
        self._reader = MediaReader(broker, vad, metrics.audio_way)
        self._bus_clock = BusClock()
        if tracer:
            tracer.clock = self._bus_clock
        self._claimed = ClaimedCalls(
            broker,
            self._claims,
            self._reader,
            agents,
            providers,
            jobs,
            http,
            secrets,
            metrics,
            worker=self.id,
            bus_clock=self._bus_clock,
            guesses=guesses,
            turn_judge=turn_judge,
            tracer=tracer,
        )
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
            try:
                await self._claims.release(lease)
            except BusUnavailable:
                log.warning("left a call without saying so: Redis is away", call_id=lease.call_id)

    async def _live(self, lease: Lease) -> None:
        """A call from its claim to its end on this worker. Its faults are its own: another worker may do better."""
        with structlog.contextvars.bound_contextvars(call_id=lease.call_id, epoch=lease.epoch):
            try:
                await self._claimed.live_through(lease)
            except asyncio.CancelledError:
                if lease in self._lost:
                    log.warning("the call is no longer this worker's: another one took it, or Redis has lost it")
                raise
            except LeaseLost as error:
                log.warning("call left to its new worker", reason=str(error))
            except Exception:
                log.exception("a call failed on this worker; another may take it")
                await until_available(lambda: self._claims.release(lease))
