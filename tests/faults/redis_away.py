"""Redis that stalls, restarts, dies, or takes no writes: calls go on, nobody crashes, no accepted event is lost."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from callbus import keys
from callbus.broker import Broker, connect
from callbus.calls import LifecycleEvent
from devstack.stack import REDIS
from faults.fleet import Fleet
from faults.verdict import Done
from ringover_sim.signing import sign
from ringover_sim.webhooks import ENDPOINT, Parties, envelope
from support.waiting import until

STALLED_S = 3.0
REFUSED_S = 3.0
EVERY_S = 0.1
RECOVERED_MS = 5000
"""What a caller may wait longer than Redis was away."""


@dataclass(slots=True)
class Sent:
    """Webhooks that were sent all the while, and what came back."""

    accepted: list[str] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    during: Counter[str] = field(default_factory=Counter)
    """Answers to what was sent while Redis was away."""
    slowest_s: float = 0.0


async def outages(fleet: Fleet, *, short: bool = False) -> Done:
    """Redis is stopped for 3 s, restarted, and killed; the file of its commands survives."""
    did = f"Redis stopped {STALLED_S:.0f} s, restarted, killed -9"
    return await _through(fleet, (_stalled, _restarted, _killed), did, short=short)


async def refusals(fleet: Fleet, *, short: bool = False) -> Done:
    """Redis answers, and takes no writes: for 3 s it is full, and for 3 s it could not save."""
    return await _through(
        fleet, (_full, _unable_to_save), f"Redis refused writes twice for {REFUSED_S:.0f} s", short=short
    )


async def _through(
    fleet: Fleet, faults: Sequence[Callable[[Fleet], Awaitable[None]]], did: str, *, short: bool
) -> Done:
    sent, away, stop = Sent(), asyncio.Event(), asyncio.Event()
    longest = 0.0
    sending = asyncio.create_task(_send(fleet, sent, away, stop))
    try:
        for fault in faults:
            began = time.monotonic()
            away.set()
            await fault(fleet)
            away.clear()
            longest = max(longest, time.monotonic() - began)
            fleet.stack.check()
            if fault is faults[-1] or not short:
                await fleet.answered(1)
        fleet.stack.check()
    finally:
        stop.set()
        await sending
    problems = await _missing(fleet, sent)
    if not sent.during["503"]:
        problems.append(f"the gateway never said 503: {dict(sent.during)}")
    if strange := set(sent.answers) - {"202", "503"}:
        problems.append(f"the gateway answered {strange}")

    return Done(
        f"{did}; at most {longest:.1f} s away",
        round(1000 * longest) + RECOVERED_MS,
        loses_words=True,
        problems=problems,
        figures={
            "webhooks": _shown(sent.answers),
            "while it was away": _shown(sent.during),
            "slowest answer": f"{sent.slowest_s:.1f} s",
        },
    )


async def _missing(fleet: Fleet, sent: Sent) -> list[str]:
    async with connect(fleet.stack.redis_url) as broker:
        events = [LifecycleEvent.from_fields(fields) for _, fields in await broker.range(keys.EVENTS)]
    published = Counter(event.call_id for event in events)
    lost = [call_id for call_id in sent.accepted if not published[call_id]]
    twice = [call_id for call_id in sent.accepted if published[call_id] > 1]
    problems = [f"accepted, and lost: {lost}"] if lost else []
    return [*problems, f"published more than once: {twice}"] if twice else problems


def _shown(answers: Counter[str]) -> str:
    return " ".join(f"{answer}:{count}" for answer, count in sorted(answers.items()))


async def _stalled(fleet: Fleet) -> None:
    await fleet.stack.kill(REDIS, signal.SIGSTOP)
    await asyncio.sleep(STALLED_S)
    await fleet.stack.kill(REDIS, signal.SIGCONT)


async def _restarted(fleet: Fleet) -> None:
    await fleet.stack.restart(REDIS)


async def _killed(fleet: Fleet) -> None:
    await fleet.stack.kill(REDIS)
    await fleet.stack.restart(REDIS)


async def _full(fleet: Fleet) -> None:
    async with _set(fleet, "maxmemory", "1", "0"):
        await asyncio.sleep(REFUSED_S)


async def _unable_to_save(fleet: Fleet) -> None:
    in_the_way = fleet.stack.directory / "redis" / "dump.rdb"
    async with connect(fleet.stack.redis_url) as broker, _set(fleet, "save", "3600 1", ""):
        in_the_way.mkdir()
        assert await _snapshot(broker) == "err"
        await asyncio.sleep(REFUSED_S)
        in_the_way.rmdir()
        assert await _snapshot(broker) == "ok"


@asynccontextmanager
async def _set(fleet: Fleet, name: str, value: str, afterwards: str) -> AsyncIterator[None]:
    async with connect(fleet.stack.redis_url) as broker:
        await broker.execute("CONFIG", "SET", name, value)
        try:
            yield
        finally:
            await broker.execute("CONFIG", "SET", name, afterwards)


async def _snapshot(broker: Broker) -> str:
    """What came of it: ok or err."""
    await broker.execute("BGSAVE")

    async def over() -> str | None:
        about = await broker.execute("INFO", "persistence")
        return None if about["rdb_bgsave_in_progress"] else str(about["rdb_last_bgsave_status"])

    outcome: str = await until(over, what="the snapshot")
    return outcome


async def _send(fleet: Fleet, sent: Sent, away: asyncio.Event, stop: asyncio.Event) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=10.0) as client, asyncio.TaskGroup() as group:
        number, salt = 0, secrets.token_hex(3)
        while not stop.is_set():
            group.create_task(_post(fleet, client, sent, away, f"event-{salt}-{number}"))
            number += 1
            await asyncio.sleep(EVERY_S)


async def _post(fleet: Fleet, client: httpx.AsyncClient, sent: Sent, away: asyncio.Event, call_id: str) -> None:
    now = time.time()
    event = envelope("ringing", Parties(call_id, "33611111111", "33184800000"), at=now, attempt=1, times={"start": now})
    body, url = json.dumps(event).encode(), fleet.stack.gateway_url + ENDPOINT
    signature = sign("v1", fleet.stack.webhook_secret, url=url, event=event, body=body, now=now)
    meanwhile, began = away.is_set(), time.monotonic()
    try:
        response = await client.post(url, content=body, headers={"Content-Type": "application/json", **signature})
        answer = str(response.status_code)
    except httpx.HTTPError as error:
        answer = type(error).__name__
    sent.slowest_s = max(sent.slowest_s, time.monotonic() - began)
    sent.answers[answer] += 1
    if meanwhile:
        sent.during[answer] += 1
    if answer == "202":
        sent.accepted.append(call_id)
