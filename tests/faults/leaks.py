"""Thousands of short calls in a row: tasks, memory, connections and Redis' keys stay what they were."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from bench.goals import Goal, Result, columns
from bench.overhead import QUESTIONS, spoken_lines
from bench.world import Lines, running, write_agent
from callbus import keys
from callbus.broker import Broker, connect
from devstack.ports import free_port
from devstack.stack import GATEWAY, JOBS, STREAMER, LocalStack
from ringover_sim.caller import place_call
from ringover_sim.errors import SimulatorError
from ringover_sim.script import CallScript, DropConnection, HangUp, Media, Pause, Say, Step, WaitForBot
from support.fake_providers import FakeElevenLabs, FakeOpenAI
from support.process_figures import Held, gauge, held
from support.waiting import until

WORKER = "ai-worker-1"
WATCHED = (GATEWAY, STREAMER, WORKER, JOBS)
ANSWER = "Three weeks."
TASKS_MORE, FDS_MORE = 3, 8
"""What may be open at the end beyond what was after the first batch: what is under way at that very moment."""
BYTES_PER_CALL = 3_000
"""By which a process' memory may grow in the second half of the calls: what fragmentation makes of it. A call that is
not forgotten weighs 100 kB."""
NOT_PLACED = 0.02
SETTLED_S = 20.0
KEYS_PER_CALL = 8
"""Hash, transcript, actions done, webhooks seen: each until its TTL."""
IMMORTAL = frozenset({keys.EVENTS, keys.WAITING})
"""Trimmed by length: the only ones without a TTL."""
NO_CALLS = frozenset(name.encode() for name in (keys.WEBHOOKS, keys.WEBHOOKS_REFUSED, keys.WEBHOOKS_REFUSED_TIMES))
"""One of each, trimmed: what is counted for the console lives on for as long as somebody may look for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """So many calls in so many batches, so many at the same time; the first batch warms up and is not judged."""

    calls: int = 2000
    batches: int = 8
    at_once: int = 30
    talkative: int = 8
    """Every so manieth caller asks something, every so manieth + 1 loses his connection; the others just leave."""


@dataclass(slots=True)
class Sample:
    """What everything holds when no call is up."""

    calls: int
    processes: dict[str, Held]
    tasks: dict[str, int]
    keys: Counter[str]
    """Redis' keys by kind."""
    immortal: list[str]
    longest_ttl_s: int
    clients: int
    redis_bytes: int
    waiting: int
    recent: int


@dataclass(slots=True)
class _Run:
    samples: list[Sample] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    not_placed: list[str] = field(default_factory=list)
    """On a machine that others use, too, a handshake can take longer than a media server waits: 1 s."""
    greeted: int = 0


async def run(plan: Plan | None = None, *, work: Path | None = None) -> Result:
    """Place the calls, and look after each batch."""
    plan = plan or Plan()
    lines = await asyncio.to_thread(spoken_lines)
    found, port = _Run(), free_port()
    with tempfile.TemporaryDirectory() as temporary:
        folder = work or Path(temporary)
        openai = FakeOpenAI(answer=lambda _: ANSWER, first_token_ms=50, per_token_ms=5)
        elevenlabs = FakeElevenLabs(hear=lambda pcm, language: QUESTIONS[0], first_byte_ms=30, transcription_ms=50)
        agents = write_agent(folder / "agents", greeting="Hello.")
        env = {"WORKER_METRICS_PORT": str(port), "WORKER_CAPACITY": "100", "LOG_LEVEL": "warning"}
        async with (
            openai,
            elevenlabs,
            running(folder, openai, elevenlabs, agents, **env) as stack,
            connect(stack.redis_url) as broker,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            watch = _Watch(stack, broker, client, port)
            size = plan.calls // plan.batches
            for batch in range(plan.batches):
                await _place(plan, stack, lines, range(batch * size, (batch + 1) * size), found)
                found.samples.append(await watch.sample((batch + 1) * size, found.samples[:1]))
            stack.check()
    return _result(plan, found)


async def _place(plan: Plan, stack: LocalStack, lines: Lines, numbers: Sequence[int], found: _Run) -> None:
    room = asyncio.Semaphore(plan.at_once)

    async def place(number: int) -> None:
        async with room:
            try:
                report = await place_call(
                    _script(plan, number),
                    gateway_url=stack.gateway_url,
                    streamer_url=stack.streamer_url,
                    secret=stack.webhook_secret,
                    token=stack.streamer_token or None,
                    voice=lines,
                )
            except SimulatorError as error:
                found.not_placed.append(f"call {number}: {error}")
                return
        found.greeted += report.greeting_ms is not None
        found.problems += [f"call {number}: {problem}" for problem in (*report.failures, *report.violations)]

    async with asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(place(number))


def _script(plan: Plan, number: int) -> CallScript:
    steps: list[Step] = [Pause(seconds=0.6)]
    if number % plan.talkative == 0:
        steps = [WaitForBot(timeout=20, silence=0.2), Say(text=QUESTIONS[0]), WaitForBot(timeout=20, silence=0.2)]
    elif number % plan.talkative == 1:
        steps += [DropConnection(reconnect_after=0.2), Pause(seconds=0.6)]
    return CallScript(
        name="leaks",
        caller=f"336{number:08}",
        ring=0.05,
        longest=60,
        # In the path: metadata that a busy machine delays would make another call of it.
        media=Media(call_id_in="path", reconnect_for=5),
        steps=[*steps, HangUp()],
    )


class _Watch:
    """Looks at the processes and at Redis."""

    def __init__(self, stack: LocalStack, broker: Broker, client: httpx.AsyncClient, worker_port: int) -> None:
        self._stack, self._broker, self._client = stack, broker, client
        self._pages = {
            GATEWAY: (stack.gateway_url, "ringover_gateway_tasks"),
            STREAMER: (f"http://127.0.0.1:{stack.streamer_port}", "streamer_tasks"),
            WORKER: (f"http://127.0.0.1:{worker_port}", "ringover_worker_tasks"),
        }

    async def sample(self, calls: int, first: Sequence[Sample]) -> Sample:
        """When no call is up any more, and what ends a moment later has ended."""
        await until(self._quiet, timeout=60, every=0.2, what="all calls are over, all records written")
        loop = asyncio.get_running_loop()
        deadline = loop.time() + SETTLED_S
        while True:
            sample = await self._sample(calls)
            if (first and not _more_open(first[0], sample)) or loop.time() > deadline:
                return sample
            await asyncio.sleep(0.5)
            if not first and loop.time() > deadline - SETTLED_S + 3.0:
                return sample

    async def _quiet(self) -> bool:
        held_calls = await gauge(self._client, self._pages[WORKER][0], "ringover_worker_calls_held")
        sessions = await gauge(self._client, self._pages[STREAMER][0], "streamer_sessions")
        jobs = await self._broker.execute("ZCARD", "arq:queue")
        return held_calls == 0 and sessions == 0 and jobs == 0

    async def _sample(self, calls: int) -> Sample:
        broker = self._broker
        names: list[bytes] = [name async for name in self._keys()]
        ttls: list[int] = await broker.pipeline([("TTL", name) for name in names])
        info = await broker.execute("INFO")
        return Sample(
            calls=calls,
            processes={name: held(self._stack.process(name).pid) for name in WATCHED},
            tasks={name: int(await gauge(self._client, *page)) for name, page in self._pages.items()},
            keys=Counter(_kind(name.decode()) for name in names),
            immortal=[name.decode() for name, ttl in zip(names, ttls, strict=True) if ttl == -1],
            longest_ttl_s=max(ttl for name, ttl in zip(names, ttls, strict=True) if name not in NO_CALLS),
            clients=int(info["connected_clients"]),
            redis_bytes=int(info["used_memory"]),
            waiting=await broker.execute("XLEN", keys.WAITING),
            recent=await broker.execute("ZCARD", keys.RECENT),
        )

    async def _keys(self) -> Any:
        cursor = 0
        while True:
            cursor, names = await self._broker.execute("SCAN", cursor, "COUNT", 1000)
            for name in names:
                yield name
            if int(cursor) == 0:
                return


def _kind(name: str) -> str:
    """The key's name with its ids left out."""
    name = re.sub(r"\{[^}]*\}", "{}", name)
    return re.sub(r"^(webhook:seen|calls:between|service:\w+|arq:\w+):.+", r"\1:…", name)


def _more_open(first: Sample, last: Sample) -> list[str]:
    """What is open beyond what was, and beyond what may be."""
    found = []
    for name in WATCHED:
        before, after = first.processes[name], last.processes[name]
        if after.fds > before.fds + FDS_MORE:
            found.append(f"{name}: {before.fds} files and sockets, then {after.fds}")
    found += [
        f"{name}: {first.tasks[name]} tasks, then {last.tasks[name]}"
        for name in first.tasks
        if last.tasks[name] > first.tasks[name] + TASKS_MORE
    ]
    if last.clients > first.clients + FDS_MORE:
        found.append(f"Redis: {first.clients} connections, then {last.clients}")
    return found


def growth_per_call(samples: Sequence[Sample], name: str) -> float:
    """Bytes by which a process grew with each call of the second half: until then, its heap grows to its size."""
    middle, last = samples[(len(samples) - 1) // 2], samples[-1]
    return (last.processes[name].rss - middle.processes[name].rss) / max(1, last.calls - middle.calls)


def _result(plan: Plan, found: _Run) -> Result:
    first, last = found.samples[0], found.samples[-1]
    of_calls = sum(count for kind, count in last.keys.items() if _is_of_a_call(kind))
    goals = [
        Goal("calls that went wrong", len(found.problems), 0, "calls"),
        Goal("calls that could not be placed", len(found.not_placed), NOT_PLACED * plan.calls, "calls"),
        *(
            Goal(
                f"{name}: memory, grown in the second half by",
                growth_per_call(found.samples, name),
                BYTES_PER_CALL,
                "bytes a call",
            )
            for name in WATCHED
        ),
        Goal("tasks, files and connections that were not there before", len(_more_open(first, last)), 0, "kinds"),
        Goal("keys of a call", of_calls / last.calls, KEYS_PER_CALL, "keys"),
        Goal("keys of a call, grown since the first batch", _keys_a_call(last) - _keys_a_call(first), 0.05, "keys"),
        Goal("other keys", sum(last.keys.values()) - of_calls, sum(first.keys.values()) - _of_calls(first), "keys"),
        Goal("keys without a TTL or a trim", len(set(last.immortal) - IMMORTAL), 0, "keys"),
        Goal("longest TTL", last.longest_ttl_s, keys.CALL_TTL_S, "s"),
        Goal("calls still waiting in Redis", last.waiting, 0, "entries"),
        Goal("calls remembered for listings", last.recent, keys.RECENT_MAX, "calls"),
    ]
    details = {
        "samples": [_plain(sample) for sample in found.samples],
        "problems": found.problems,
        "greeted": found.greeted,
        "keys": dict(last.keys),
    }
    return Result(_table(plan, found), goals, details)


def _is_of_a_call(kind: str) -> bool:
    return kind.startswith(("call:{}", "webhook:seen", "calls:between"))


def _of_calls(sample: Sample) -> int:
    return sum(count for kind, count in sample.keys.items() if _is_of_a_call(kind))


def _keys_a_call(sample: Sample) -> float:
    return _of_calls(sample) / sample.calls


def _table(plan: Plan, found: _Run) -> list[str]:
    first, last = found.samples[0], found.samples[-1]
    head = ["after so many calls", *(str(sample.calls) for sample in found.samples)]
    rows = [
        [f"{name}: {what}", *(str(read(sample.processes[name])) for sample in found.samples)]
        for name in WATCHED
        for what, read in _COLUMNS.items()
    ]
    rows += [[f"{name}: tasks", *(str(sample.tasks[name]) for sample in found.samples)] for name in first.tasks]
    rows += [
        ["Redis: connections", *(str(sample.clients) for sample in found.samples)],
        ["Redis: MB", *(f"{sample.redis_bytes / 1e6:.1f}" for sample in found.samples)],
        ["Redis: keys", *(str(sum(sample.keys.values())) for sample in found.samples)],
    ]
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(last.keys.items()))
    kept = (last.redis_bytes - first.redis_bytes) / max(1, last.calls - first.calls)
    return [
        *columns(head, rows),
        f"keys: {kinds}",
        f"Redis keeps {kept / 1000:.1f} kB of a call until its TTL; {found.greeted} of {last.calls} callers were "
        f"greeted before they hung up; {plan.at_once} calls at a time",
        *_more_open(first, last),
        *(f"no TTL: {name}" for name in sorted(set(last.immortal) - IMMORTAL)[:5]),
        *found.problems[:5],
        *found.not_placed[:2],
    ]


_COLUMNS: Mapping[str, Any] = {
    "MB": lambda held: f"{held.rss / 1e6:.1f}",
    "files": lambda held: held.fds,
    "sockets": lambda held: held.sockets,
    "threads": lambda held: held.threads,
}


def _plain(sample: Sample) -> dict[str, Any]:
    return {
        "calls": sample.calls,
        "processes": {
            name: {"rss": one.rss, "fds": one.fds, "sockets": one.sockets, "threads": one.threads}
            for name, one in sample.processes.items()
        },
        "tasks": sample.tasks,
        "keys": sum(sample.keys.values()),
        "redis_bytes": sample.redis_bytes,
        "clients": sample.clients,
    }
