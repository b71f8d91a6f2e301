"""A claimed call on this worker, from its claim to its end: begun or taken up, lived through, its record asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import structlog

from ai_worker.agent import Agent
from ai_worker.agent_watch import AgentWatcher
from ai_worker.call import CallTask
from ai_worker.casting import persona_of, turn_taking_of
from ai_worker.conversation.history import History
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.jobs.queue import JobQueue
from ai_worker.metrics import Metrics
from ai_worker.providers.suite import Suite
from ai_worker.reader import MediaReader
from ai_worker.tools import ToolBox
from ai_worker.turn import TurnJudge
from callbus import calls, commands, keys, tracing, transcript
from callbus.broker import Broker, StreamEntry, until_available, xadd
from callbus.busclock import BusClock
from callbus.claims import Claims, Lease
from callbus.errors import BadMessage

if TYPE_CHECKING:
    from callbus.otlp import Tracer

MOST_ATTEMPTS = 6
"""A call that has outlived this many workers breaks them: it is handed to a person, or ended."""

log = structlog.get_logger()


class ClaimedCalls:
    """What the calls of one worker have in common. `secrets` are the values that the agents' tools may name."""

    def __init__(
        self,
        broker: Broker,
        claims: Claims,
        reader: MediaReader,
        agents: AgentWatcher,
        providers: Suite,
        jobs: JobQueue,
        http: httpx.AsyncClient,
        secrets: Mapping[str, str],
        metrics: Metrics,
        *,
        worker: str,
        bus_clock: BusClock,
        guesses: int,
        turn_judge: TurnJudge | None,
        tracer: Tracer | None,
    ) -> None:
        self._broker = broker
        self._claims = claims
        self._reader = reader
        self._agents = agents
        self._providers = providers
        self._jobs = jobs
        self._http = http
        self._secrets = secrets
        self._metrics = metrics
        self._worker = worker
        self._bus_clock = bus_clock
        self._guesses = guesses
        self._turn_judge = turn_judge
        self._tracer = tracer

    async def live_through(self, lease: Lease) -> None:
        """The call until its conversation is over and its record asked for. Raises LeaseLost, and whatever is a fault
        of this program: then nothing is given back, and another worker may do better.
        """
        state = await calls.get(self._broker, lease.call_id)
        agent = self._agents.book.for_number(state.get("to_number", "")).for_call(state)
        await calls.update(self._broker, lease.call_id, agent=agent.name)
        await self._announce(lease, "claimed", {"worker": self._worker, "epoch": lease.epoch, "agent": agent.name})
        if lease.attempt > MOST_ATTEMPTS:
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
            worker=self._worker,
            streamer=state.get("streamer", ""),
            sample_rate=int(state.get("sample_rate") or 8000),
            history=history,
            past=past,
            elapsed=max(0.0, time.time() - begun),
            held=lambda: until_available(lambda: self._claims.still_held(lease)),
            tracer=self._tracer,
            arrival=self._trace_claim(lease, state),
        )
        return call, after

    def _trace_claim(self, lease: Lease, state: dict[str, str]) -> str:
        """The call's wait for a worker, in the trace of its first webhook where that has one; the traceparent of it."""
        if self._tracer is None:
            return ""
        waited_since = int(lease.entry.partition("-")[0]) / 1000
        about: tracing.Attributes = {"worker": self._worker, "call.epoch": lease.epoch, "takeover": lease.takeover}
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
