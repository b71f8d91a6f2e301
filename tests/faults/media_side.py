"""A bad media side: frames missing, stalls of 500 ms, bursts, reconnect storms. Nothing ends, nothing lags behind."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from bench.goals import Goal, Result, columns, percentile
from callbus import keys, media
from callbus.broker import Broker
from callbus.broker import connect as connect_to_redis
from callbus.pcm import FRAME_MS, frame_bytes
from faults import talk
from faults.fleet import Fleet, fleet
from faults.judge import Judged
from ringover_sim.script import Media
from support.poor_line import PoorLine
from support.process_figures import gauge

RATE = 8000
LOSS = 0.03
STALL_S = 0.5
BEHIND_MS = 100
"""How late a frame may be in Redis that is sent when nothing is wrong."""
RECOVERED_S = 0.2
"""So long after the end of a stall, a frame must be in time again."""
CUT_EVERY_S = 0.7
KEPT_S = 2.0
"""What is older than this when a backlog comes is of no use to a conversation."""


@dataclass(frozen=True, slots=True)
class Plan:
    """So many calls; so many seconds without a fault, with frames missing, and so many stalls and cuts."""

    calls: int = 20
    calm_s: float = 8.0
    lossy_s: float = 15.0
    stalls: int = 6
    cuts: int = 10
    backlog_s: float = 5.0
    answers: int = 2
    """Of every call, after it all."""
    workers: int = 2


@dataclass(slots=True)
class Probe:
    """A call whose every frame says when it was sent; and when each was in Redis."""

    call_id: str
    sent: list[float] = field(default_factory=list)
    """Epoch s, by frame."""
    delays: dict[float, float] = field(default_factory=dict)
    """ms from sending to Redis, by the time of sending."""
    repeated: int = 0
    reconnected: int = 0

    def between(self, start: float, end: float) -> list[float]:
        """The delays (ms) of the frames that were sent within this time."""
        return [delay for at, delay in self.delays.items() if start <= at < end]

    def missing(self, start: float, end: float) -> int:
        """Frames sent within this time that never came to Redis."""
        return sum(start <= at < end and at not in self.delays for at in self.sent)


@dataclass(slots=True)
class _Seen:
    phases: dict[str, tuple[float, float]] = field(default_factory=dict)
    stalls_over: list[float] = field(default_factory=list)
    counted: dict[str, float] = field(default_factory=dict)
    """What the streamer counted in the whole run, by metric."""
    dropped_of_backlog: float = 0
    unanswered_in_the_storm: int = 0
    unanswered_later: int = 0
    answered: int = 0
    """Questions, after the storm."""
    given_up: int = 0
    """Calls in which none was."""
    ended_early: int = 0
    dead: list[str] = field(default_factory=list)


async def run(plan: Plan | None = None, *, seed: int = 1, work: Path | None = None) -> Result:
    """All faults, one after another, on the same calls."""
    plan, seen = plan or Plan(), _Seen()
    async with (
        fleet(0, workers=plan.workers, work=work, kinds=("plain",)) as running,
        PoorLine("127.0.0.1", running.stack.streamer_port, seed=seed) as line,
        PoorLine("127.0.0.1", running.stack.streamer_port, seed=seed) as probes_line,
        httpx.AsyncClient(trust_env=False) as client,
        connect_to_redis(running.stack.redis_url) as broker,
    ):
        stack = running.stack
        pids = {name: stack.process(name).pid for name in stack.names}
        before = await _counters(client, stack.streamer_port)
        streamer_url, stack.streamer_url = stack.streamer_url, line.url
        running.place(plan.calls, media=Media(on_server_close="reconnect", reconnect_for=10))
        await running.talking()
        async with _probing(probes_line.url, broker) as probe:
            await _go_through(plan, seen, running, client, line, probes_line)
        stack.streamer_url = streamer_url
        judged = await running.hang_up()
        after = await _counters(client, stack.streamer_port)
        seen.counted = {name: after[name] - before[name] for name in after}
        seen.dead = [name for name in pids if not stack.process(name).running]
        lost = line.lost + probes_line.lost
    return _result(plan, seen, probe, judged, lost)


async def _go_through(
    plan: Plan, seen: _Seen, running: Fleet, client: httpx.AsyncClient, line: PoorLine, probes_line: PoorLine
) -> None:
    lines = (line, probes_line)

    @asynccontextmanager
    async def phase(name: str) -> AsyncIterator[None]:
        began = time.time()
        yield
        seen.phases[name] = (began, time.time())

    async with phase("before"):
        await asyncio.sleep(plan.calm_s)
    for one in lines:
        one.loss = LOSS
    async with phase(f"{LOSS:.0%} of frames missing"):
        await asyncio.sleep(plan.lossy_s)
    async with phase("missing frames and stalls of 500 ms"):
        for _ in range(plan.stalls):
            await asyncio.gather(*(one.stall(STALL_S) for one in lines))
            seen.stalls_over.append(time.time())
            await asyncio.sleep(2 * STALL_S)
    async with phase("reconnect storm"):
        for _ in range(plan.cuts):
            for one in lines:
                one.cut()
            await asyncio.sleep(CUT_EVERY_S)
    for one in lines:
        one.loss = 0.0
    # The last one has a moment to settle: what follows is measured as "in time".
    await asyncio.sleep(1.0)
    counted = await _counters(client, running.stack.streamer_port)
    async with phase("backlog"):
        await probes_line.stall(plan.backlog_s)
        await asyncio.sleep(RECOVERED_S)
    later = await _counters(client, running.stack.streamer_port)
    seen.dropped_of_backlog = later["audio_frames_dropped"] - counted["audio_frames_dropped"]
    # Of a question that was asked while connections broke, half may be lost: it can't be understood.
    before = {question.name for call in running.calls for question in call.questions}
    answered = {call: call.answered for call in running.calls}
    async with phase("after"):
        await asyncio.sleep(plan.calm_s)
        await running.answered(plan.answers)
    unanswered = [name for call in running.calls for name in call.unanswered]
    seen.unanswered_in_the_storm = sum(name in before for name in unanswered)
    seen.unanswered_later = sum(name not in before for name in unanswered)
    seen.answered = sum(call.answered - answered[call] for call in running.calls)
    seen.given_up = sum(call.answered == answered[call] for call in running.calls)
    seen.ended_early = sum(call.over for call in running.calls)


async def _counters(client: httpx.AsyncClient, port: int) -> dict[str, float]:
    names = ("audio_frames_dropped", "sessions_dropped", "sessions_resumed", "bus_entries_lost", "frames_in")
    return {name: await gauge(client, f"http://127.0.0.1:{port}", f"streamer_{name}_total") for name in names}


@asynccontextmanager
async def _probing(url: str, broker: Broker) -> AsyncIterator[Probe]:
    """A probe that sends a frame every 20 ms, comes back when it is cut off, and sees its frames in Redis."""
    probe = Probe(f"probe-{time.time_ns()}")
    # It never says a word: any other bot would take leave of it.
    await broker.execute("HSET", keys.call(probe.call_id), "to_number", talk.PATIENT_NUMBER)
    sending = asyncio.create_task(_send(probe, f"{url}/{probe.call_id}"))
    watching = asyncio.create_task(_watch(probe, broker))
    try:
        yield probe
        await asyncio.sleep(0.5)
    finally:
        for task in (sending, watching):
            task.cancel()
        await asyncio.gather(sending, watching, return_exceptions=True)


async def _send(probe: Probe, url: str) -> None:
    while True:
        try:
            async with connect(url, ping_interval=None, compression=None, max_size=None, proxy=None) as client:
                reading = asyncio.create_task(_ignore(client))
                try:
                    await _send_frames(probe, client)
                finally:
                    reading.cancel()
        except (ConnectionClosed, InvalidHandshake, OSError):
            probe.reconnected += 1
            await asyncio.sleep(0.05)


async def _send_frames(probe: Probe, client: ClientConnection) -> None:
    loop = asyncio.get_running_loop()
    due = loop.time()
    while True:
        due += FRAME_MS / 1000
        await asyncio.sleep(max(0.0, due - loop.time()))
        now = time.time()
        await client.send(struct.pack("<d", now).ljust(frame_bytes(RATE), b"\0"))
        probe.sent.append(now)


async def _ignore(client: ClientConnection) -> None:
    async for _ in client:
        pass


async def _watch(probe: Probe, broker: Broker) -> None:
    stream, last, size = keys.media_in(probe.call_id), b"0-0", frame_bytes(RATE)
    while True:
        read = await broker.read({stream: last}, block_ms=200)
        for entry, fields in read.get(stream, ()):
            last = entry
            event = media.decode(fields)
            if not isinstance(event, media.Audio):
                continue
            written = int(entry.partition(b"-")[0])
            for start in range(0, len(event.pcm), size):
                (at,) = struct.unpack_from("<d", event.pcm, start)
                probe.repeated += at in probe.delays
                probe.delays[at] = written - at * 1000


def _result(plan: Plan, seen: _Seen, probe: Probe, judged: Sequence[Judged], lost: int) -> Result:
    phases = seen.phases
    backlog, calm, later = phases["backlog"], phases["before"], phases["after"]
    rows = [
        [name, *(f"{percentile(probe.between(*phase), share):.0f}" for share in (50, 95, 100))]
        for name, phase in phases.items()
    ]
    settled = [
        delay for over in seen.stalls_over for delay in probe.between(over + RECOVERED_S, over + 2 * STALL_S - 0.05)
    ]
    # What was on its way when the stall began belongs to it.
    skipped = probe.missing(backlog[0] - 0.1, backlog[1])
    kept = sum(delay > 1000 * (KEPT_S + RECOVERED_S) for delay in probe.between(*backlog))
    table = [
        *columns(["frame sent to Redis, ms", "p50", "p95", "max"], rows),
        f"{RECOVERED_S:.1f} s after each stall, at most: {max(settled, default=0):.0f} ms",
        f"frames of a backlog of {plan.backlog_s:.0f} s at once: {skipped} skipped, {kept} kept though older than "
        f"{KEPT_S:.0f} s; the streamer counted {seen.dropped_of_backlog:.0f} dropped",
        f"{lost} frames lost on the way; {probe.repeated} came to Redis twice; "
        + ", ".join(f"{name.replace('_', ' ')} {value:.0f}" for name, value in seen.counted.items()),
        f"{seen.unanswered_in_the_storm} questions of those asked until the end of the storm had no answer; "
        f"after it, {seen.answered} had one",
        *_problems(judged),
    ]
    goals = [
        Goal("processes that ended", len(seen.dead), 0, "processes"),
        Goal("calls that ended", seen.ended_early, 0, "calls"),
        Goal("before: frame to Redis, p95", percentile(probe.between(*calm), 95), BEHIND_MS),
        Goal("in time again after a stall: frame to Redis, p95", percentile(settled, 95), BEHIND_MS),
        Goal("after everything: frame to Redis, p95", percentile(probe.between(*later), 95), BEHIND_MS),
        Goal("of the backlog, kept though older than 2 s", kept, 0, "frames"),
        Goal("of the backlog, skipped and not counted", abs(skipped - seen.dropped_of_backlog), 0, "frames"),
        Goal("questions after the storm without an answer", seen.unanswered_later, 0, "questions"),
        Goal("calls without any answer after the storm", seen.given_up, 0, "calls"),
    ]
    details: dict[str, Any] = {
        "phases": rows,
        "counted": seen.counted,
        "problems": [p for call in judged for p in call.problems],
    }
    return Result(table, goals, details)


def _problems(judged: Sequence[Judged]) -> list[str]:
    kinds = Counter(problem.partition(":")[0] for call in judged for problem in call.problems)
    return [f"in the calls, the storm included: {count} x {kind}" for kind, count in kinds.most_common(8)]
