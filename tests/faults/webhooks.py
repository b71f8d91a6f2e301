"""Webhooks in a storm, each delivered twice, shuffled, with the gateway restarted in the middle: each event once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.goals import Goal, Result, columns
from callbus import keys
from callbus.broker import Broker, connect
from callbus.calls import LifecycleEvent
from devstack.embedded_redis import embedded_redis
from devstack.ports import free_port
from devstack.processes import ManagedProcess
from ringover_sim.signing import Scheme, sign
from ringover_sim.webhooks import ENDPOINT, EventName, Parties, envelope
from support.gateway_process import COMMAND, environment
from support.http_lines import BROKEN, Lines
from support.waiting import until

KEY = "the-key-of-the-dashboard-5c1f"
LIFE: tuple[EventName, ...] = ("ringing", "answered", "hangup")
SCHEMES: tuple[Scheme, ...] = ("v1", "v1-flat", "v3", "hmac")
BEGAN = float(int(time.time())) - 3600.0
CONNECTIONS = 64
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 2.0
"""Between two attempts; Ringover's own schedule is not published."""
GIVE_UP_S = 60.0

Identity = tuple[str, str, str]
"""Resource, event and call of what happened: in a storm, each is there once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """So many events, begun to be delivered within so many seconds; `ends` are the signals that end the gateway in the
    middle, each in a storm of its own.
    """

    events: int = 1000
    within_s: float = 2.0
    ends: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGKILL)


@dataclass(slots=True)
class Storm:
    """How one storm went, as the sender saw it."""

    accepted: Counter[Identity] = field(default_factory=Counter)
    """202s by event."""
    duplicates: int = 0
    unavailable: int = 0
    broken: int = 0
    refused: list[str] = field(default_factory=list)
    undelivered: int = 0
    last_first_attempt_s: float = 0.0
    last_answer_s: float = 0.0
    away_s: float = 0.0
    events: list[LifecycleEvent] = field(default_factory=list)
    """What is in Redis at the end."""
    states: Counter[str] = field(default_factory=Counter)


async def run(plan: Plan | None = None, *, seed: int = 1, work: Path | None = None) -> Result:
    """One storm for each way to end."""
    plan = plan or Plan()
    table, goals, details = list[str](), list[Goal](), dict[str, Any]()
    with tempfile.TemporaryDirectory() as temporary:
        for end in plan.ends:
            directory = (work or Path(temporary)) / end.name
            directory.mkdir(parents=True)
            storm = await _storm(plan, end, seed, directory)
            table += _table(plan, end, storm)
            goals += _goals(plan, end, storm)
            details[end.name] = _figures(plan, storm)
    return Result(table, goals, details)


def happenings(count: int) -> list[dict[str, Any]]:
    """The events as Ringover makes them, whole lives of calls."""
    found: list[dict[str, Any]] = []
    for number in range(count):
        call, step = divmod(number, len(LIFE) + 1)
        parties = Parties(f"storm-{call}", f"336{call:08}", "33184800000")
        times = {"start": BEGAN + call, "answered": BEGAN + call + 2.125, "hangup": BEGAN + call + 60.5}
        at = (times["start"], times["answered"], times["hangup"], BEGAN + call + 75.25)[step]
        event = envelope(LIFE[min(step, len(LIFE) - 1)], parties, at=at, attempt=1, times=times)
        if step == len(LIFE):
            event |= {"resource": "aftercall", "event": "record_available"}
        found.append(event)
    return found


def identity(event: dict[str, Any]) -> Identity:
    return event["resource"], event["event"], event["data"]["call_id"]


async def _storm(plan: Plan, end: signal.Signals, seed: int, directory: Path) -> Storm:
    storm, order = Storm(), random.Random(seed)
    deliveries = happenings(plan.events) * 2
    order.shuffle(deliveries)
    with embedded_redis(directory / "redis") as redis_url:
        gateway = _gateway(directory, redis_url)
        async with connect(redis_url) as broker, Lines(gateway.port, CONNECTIONS) as lines:
            gateway.process.start()
            try:
                await gateway.ready(lines)
                sender = _Sender(gateway.url + ENDPOINT, lines, storm)
                async with asyncio.TaskGroup() as group:
                    for number, event in enumerate(deliveries):
                        due = plan.within_s * number / len(deliveries)
                        group.create_task(sender.deliver(event, due, SCHEMES[order.randrange(len(SCHEMES))]))
                    await asyncio.sleep(plan.within_s / 2)
                    storm.away_s = await gateway.restart(end, lines)
                storm.events = [LifecycleEvent.from_fields(fields) for _, fields in await broker.range(keys.EVENTS)]
                storm.states = await _states(broker, {event.call_id for event in storm.events})
            finally:
                await gateway.process.stop(5.0)
    return storm


class _Sender:
    """Delivers as Ringover does: signed, again after a 503 or a broken connection, with `attempt` counted up."""

    def __init__(self, url: str, lines: Lines, storm: Storm) -> None:
        self._url = url
        self._lines = lines
        self._storm = storm
        self._began = time.monotonic()

    async def deliver(self, event: dict[str, Any], due_s: float, scheme: Scheme) -> None:
        await asyncio.sleep(max(0.0, self._began + due_s - time.monotonic()))
        storm, pause, attempt = self._storm, FIRST_PAUSE_S, 1
        storm.last_first_attempt_s = max(storm.last_first_attempt_s, self._elapsed)
        while self._elapsed < GIVE_UP_S:
            try:
                status, body = await self._post({**event, "attempt": attempt}, scheme)
            except BROKEN:
                storm.broken += 1
            else:
                if status in (200, 202):
                    self._took(event, status)
                    return
                if status != 503:
                    storm.refused.append(f"{identity(event)}: {status} {body[:200]!r}")
                    return
                storm.unavailable += 1
            await asyncio.sleep(pause)
            pause, attempt = min(LONGEST_PAUSE_S, 2 * pause), attempt + 1
        storm.undelivered += 1

    def _took(self, event: dict[str, Any], status: int) -> None:
        self._storm.last_answer_s = self._elapsed
        if status == 202:
            self._storm.accepted[identity(event)] += 1
        else:
            self._storm.duplicates += 1

    async def _post(self, event: dict[str, Any], scheme: Scheme) -> tuple[int, bytes]:
        body = json.dumps(event).encode()
        signature = sign(scheme, KEY, url=self._url, event=event, body=body, now=time.time())
        return await self._lines.ask("POST", ENDPOINT, {"Content-Type": "application/json", **signature}, body)

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._began


@dataclass(frozen=True, slots=True)
class _Gateway:
    port: int
    process: ManagedProcess

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ready(self, lines: Lines) -> None:
        async def answers() -> bool:
            try:
                return (await lines.ask("GET", "/ready"))[0] == 200
            except BROKEN:
                return False

        await until(answers, what=f"the gateway answers\n{self.process.tail()}")

    async def restart(self, end: signal.Signals, lines: Lines) -> float:
        """End it, start it again; for how long (s) it was away."""
        began = time.monotonic()
        self.process.send(end)
        assert await self.process.wait(15.0), f"{end.name} did not end the gateway:\n{self.process.tail()}"
        self.process.start()
        await self.ready(lines)
        return time.monotonic() - began


def _gateway(directory: Path, redis_url: str) -> _Gateway:
    port = free_port()
    settings = {
        "GATEWAY_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "REDIS_URL": redis_url,
        "RINGOVER_WEBHOOK_SECRET": KEY,
        "LOG_LEVEL": "warning",
    }
    process = ManagedProcess(
        "webhook-gateway",
        [os.fspath(COMMAND)],
        env=environment(**settings),
        cwd=directory,
        log=directory / "gateway.log",
    )
    return _Gateway(port, process)


async def _states(broker: Broker, calls: set[str]) -> Counter[str]:
    return Counter([(await broker.hash(keys.call(call))).get("state", "unknown") for call in sorted(calls)])


def _counts(storm: Storm) -> Counter[Identity]:
    return Counter((event.resource, event.event, event.call_id) for event in storm.events)


def _figures(plan: Plan, storm: Storm) -> dict[str, Any]:
    published = _counts(storm)
    expected = {identity(event) for event in happenings(plan.events)}
    return {
        "missing": len(expected - set(published)),
        "twice": sum(count - 1 for count in published.values()),
        "unknown": len(set(published) - expected),
        "accepted_twice": sum(count > 1 for count in storm.accepted.values()),
        "accepted_and_lost": len(set(storm.accepted) - set(published)),
        "answer_lost": len(set(published) - set(storm.accepted)),
        "states": dict(storm.states),
        "unavailable": storm.unavailable,
        "broken": storm.broken,
        "refused": storm.refused,
        "undelivered": storm.undelivered,
        "sent_within_s": round(storm.last_first_attempt_s, 2),
        "all_delivered_after_s": round(storm.last_answer_s, 2),
        "away_s": round(storm.away_s, 2),
    }


def _table(plan: Plan, end: signal.Signals, storm: Storm) -> list[str]:
    found = _figures(plan, storm)
    rows = [
        ["first attempts of all deliveries, s", str(found["sent_within_s"])],
        ["gateway away, s", str(found["away_s"])],
        ["last delivery answered after, s", str(found["all_delivered_after_s"])],
        ["answers: 202, 200 (duplicate), 503", f"{storm.accepted.total()}, {storm.duplicates}, {storm.unavailable}"],
        ["broken connections", str(storm.broken)],
        ["events whose 202 never came back", str(found["answer_lost"])],
    ]
    head = [f"{plan.events} webhooks, twice each, {end.name} in the middle", ""]
    return [*columns(head, rows), *storm.refused[:3]]


def _goals(plan: Plan, end: signal.Signals, storm: Storm) -> list[Goal]:
    found = _figures(plan, storm)
    not_ended = sum(count for state, count in storm.states.items() if state != "ended")
    return [
        Goal(f"{end.name}: events that are not in calls:events", found["missing"], 0, "events"),
        Goal(f"{end.name}: events that are there again", found["twice"] + found["unknown"], 0, "events"),
        Goal(f"{end.name}: answered 202 and lost", found["accepted_and_lost"], 0, "events"),
        Goal(f"{end.name}: answered 202 twice", found["accepted_twice"], 0, "events"),
        Goal(f"{end.name}: refused or given up", len(storm.refused) + storm.undelivered, 0, "deliveries"),
        Goal(f"{end.name}: ended calls whose state says something else", not_ended, 0, "calls"),
    ]
