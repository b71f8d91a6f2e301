"""From two snapshots to one row of figures, and from the rows to a table and goals. Sans-I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.errors import BenchError
from bench.goals import Goal, columns, percentile
from bench.scale.system import AGE, MISSED, WORKER, Samples, Snapshot
from bench.scale.wire import FRAME_S
from devstack.stack import STREAMER

STREAMER_US, WORKER_US, BOTH_US = 25.0, 35.0, 60.0
HOP_MS = 40.0
CALLS = 200
LOST = ("streamer_audio_frames_dropped_total", "streamer_bus_entries_lost_total", "streamer_sessions_dropped_total")
MOST_BEHIND_S = 0.1
"""Audio of a call that may be on its way into the streamer at the end of a measurement."""
MOST_UNANSWERED = 0.05
"""Of the questions: after 10 s the caller asks again."""

Spread = dict[str, float]


@dataclass(frozen=True, slots=True)
class AtLeast(Goal):
    """One figure and the least that it may be."""

    @property
    def passed(self) -> bool:
        return self.measured >= self.limit

    @property
    def line(self) -> str:
        verdict = "PASS  " if self.passed else "MISSED"
        return f"{verdict}  {self.what}: {self.measured:.0f} {self.unit}, at least {self.limit:.0f} {self.unit}"


@dataclass(slots=True)
class Window:
    """What happened between two snapshots with so many calls. CPU of a frame in us, of a process in cores."""

    calls: int
    seconds: float
    frames: int
    cores: dict[str, float]
    """By process; `others` is what the machine did besides."""
    streamer_us: float
    worker_us: float
    """Of all workers."""
    hop_in_ms: Spread
    """Of every frame, from the streamer to the conversation."""
    read_ms: Spread
    """How long a frame waits at the streamer to be read, by pings in between: there and back."""
    redis_us: float
    redis_in: float
    redis_out: float
    """Bytes a second and call."""
    redis_commands: dict[str, float]
    """CPU by command, us a frame."""
    lost: dict[str, int]
    late_ms: float
    """p95 of the load's own lateness."""
    rss: dict[str, int]


@dataclass(slots=True)
class Row:
    """One number of calls: while all callers listen, and while they converse."""

    calls: int
    listening: Window
    talking: Window
    asked: int
    answered: int
    unanswered: int
    answer_ms: Spread
    """From the caller's last sound to the first audio at the media server, the providers' own times in it."""
    hop_out_ms: Spread
    turn_hop_in_ms: Spread
    """As the turns tell it: of the frame that showed the end of the speech."""
    turn_cpu_ms: float
    """CPU of the workers for one turn, beyond what listening costs."""
    memory_kib: dict[str, float]
    """Resident memory a call, beyond that without calls, by kind of process."""
    held: list[int] = field(default_factory=list)
    """Calls by worker."""

    @property
    def lost(self) -> int:
        return sum(self.listening.lost.values()) + sum(self.talking.lost.values())

    @property
    def hop_p95_ms(self) -> float:
        """The worst of the ways: into the streamer, to the conversation, back to the streamer."""
        ways = (self.talking.read_ms, self.talking.hop_in_ms, self.hop_out_ms)
        return max(way["p95"] for way in ways)

    @property
    def broken(self) -> list[str]:
        """Why so many calls are too many; empty when they are not."""
        found = []
        if self.hop_p95_ms > HOP_MS:
            found.append(f"p95 hop {self.hop_p95_ms:.0f} ms")
        if self.lost:
            found.append(f"lost: {self.lost}")
        if self.unanswered > MOST_UNANSWERED * self.asked:
            found.append(f"of {self.asked} questions {self.unanswered} had no answer in time")
        return found


def window(calls: int, before: Snapshot, after: Snapshot) -> Window:
    """Raises BenchError when no frame passed."""
    seconds = after.at - before.at
    frames = int(after.streamer["streamer_frames_in_total"] - before.streamer["streamer_frames_in_total"])
    if frames <= 0:
        raise BenchError("no frame reached the streamer: see its log")
    cores = {name: (used.cpu_s - before.used[name].cpu_s) / seconds for name, used in after.used.items()}
    others = (after.machine_s - before.machine_s) / seconds - sum(cores.values())
    workers = sum(share for name, share in cores.items() if name.startswith(WORKER))
    redis = {name: value - before.redis.get(name, 0) for name, value in after.redis.items()}
    commands = {
        name.removeprefix("cmdstat_").removesuffix(" usec"): round(usec / frames, 2)
        for name, usec in redis.items()
        if name.startswith("cmdstat_") and name.endswith(" usec") and usec / frames >= 0.1
    }
    return Window(
        calls,
        round(seconds, 2),
        frames,
        {**{name: round(share, 4) for name, share in cores.items()}, "others": round(max(0.0, others), 4)},
        streamer_us=round(1e6 * cores[STREAMER] * seconds / frames, 1),
        worker_us=round(1e6 * workers * seconds / frames, 1),
        hop_in_ms=bucket_spread(_ages(before), _ages(after)),
        read_ms=spread(after.load["pings_ms"]),
        redis_us=round(1e6 * cores["redis"] * seconds / frames, 1),
        redis_in=round(redis["total_net_input_bytes"] / seconds / calls),
        redis_out=round(redis["total_net_output_bytes"] / seconds / calls),
        redis_commands=dict(sorted(commands.items(), key=lambda item: -item[1])[:6]),
        lost=_lost(calls, before, after),
        late_ms=spread(after.load["late_ms"])["p95"],
        rss={name: used.rss for name, used in after.used.items()},
    )


def row(
    calls: int, listening: Window, talking: Window, before: Snapshot, after: Snapshot, hops: Mapping[str, list[float]]
) -> Row:
    """`before` and `after` are the snapshots of the talking window, `hops` the ways (ms) of its turns."""
    asked = int(after.load["asked"] - before.load["asked"])
    answered = int(after.load["answered"] - before.load["answered"])
    unanswered = int(after.load["unanswered"] - before.load["unanswered"])
    beyond_us = (talking.worker_us - listening.worker_us) * talking.frames
    return Row(
        calls,
        listening,
        talking,
        asked,
        answered,
        unanswered,
        spread(after.load["answers_ms"]),
        spread(hops["out"]),
        spread(hops["in"]),
        turn_cpu_ms=round(beyond_us / 1000 / max(1, answered), 1),
        memory_kib={},
    )


def memory(calls: int, idle: Snapshot, after: Snapshot) -> dict[str, float]:
    """KiB of resident memory a call, by kind of process."""
    kinds = {STREAMER: [STREAMER], "workers": [name for name in after.used if name.startswith(WORKER)]}
    found = {
        kind: sum(after.used[name].rss - idle.used[name].rss for name in names) / 1024 / calls
        for kind, names in kinds.items()
    }
    found["redis"] = (after.redis["used_memory"] - idle.redis["used_memory"]) / 1024 / calls
    return {kind: round(value, 1) for kind, value in found.items()}


def spread(values: Sequence[float]) -> Spread:
    """p50, p95, p99 and max of values in ms, and how many. Raises BenchError when there are none."""
    found = {f"p{percent}": round(percentile(values, percent), 2) for percent in (50, 95, 99)}
    return {**found, "max": round(percentile(values, 100), 2), "count": len(values)}


def bucket_spread(before: Samples, after: Samples) -> Spread:
    """p50, p95 and p99 in ms from a histogram's buckets (upper edge in s: count of all up to it), each as the upper
    edge of its bucket. Raises BenchError when nothing was counted."""
    edges = sorted(after, key=float)
    upto = [after[edge] - before.get(edge, 0) for edge in edges]
    count = upto[-1] if upto else 0
    if not count:
        raise BenchError("no frame reached a worker: see its log")

    def at(percent: float) -> float:
        edge = next(edge for edge, reached in zip(edges, upto, strict=True) if reached >= count * percent / 100)
        return round(1000 * float(edge), 2)

    return {"p50": at(50), "p95": at(95), "p99": at(99), "count": int(count)}


def _ages(snapshot: Snapshot) -> Samples:
    ages: Samples = {}
    for worker in snapshot.workers:
        for name, value in worker.items():
            if name.startswith(AGE):
                edge = name.removeprefix(AGE).strip()
                ages[edge] = ages.get(edge, 0) + value
    return ages


def _lost(calls: int, before: Snapshot, after: Snapshot) -> dict[str, int]:
    """What must be nothing, by its name; only what is not."""
    lost = {name: int(after.streamer[name] - before.streamer[name]) for name in LOST}
    lost["missed by the workers"] = int(
        sum(worker[MISSED] for worker in after.workers) - sum(worker[MISSED] for worker in before.workers)
    )
    for name in ("lost", "not_sent", "strange"):
        lost[f"load: {name}"] = int(after.load[name] - before.load[name])
    behind = int(after.load["sent"] - after.streamer["streamer_frames_in_total"])
    lost["sent, and not read in time"] = behind if behind > calls * MOST_BEHIND_S / FRAME_S else 0
    return {name: count for name, count in lost.items() if count}


def highest(rows: Sequence[Row]) -> Row | None:
    """The most calls before the first number that was too many."""
    good = None
    for one in rows:
        if one.broken:
            break
        good = one
    return good


def goals(rows: Sequence[Row]) -> list[Goal]:
    """Judged at the most calls that were not too many; if all were, at the first."""
    best = highest(rows)
    at = best or rows[0]
    where = f"CPU per 20 ms frame at {at.calls} calls"
    return [
        Goal(f"streamer, {where}", at.talking.streamer_us, STREAMER_US, "us"),
        Goal(f"worker with its VAD, {where}, callers listen", at.listening.worker_us, WORKER_US, "us"),
        Goal(f"both, {where}, callers listen", at.listening.streamer_us + at.listening.worker_us, BOTH_US, "us"),
        AtLeast(f"calls with p95 hop <= {HOP_MS:.0f} ms, no frame lost", best.calls if best else 0, CALLS, "calls"),
    ]


def table(rows: Sequence[Row]) -> list[str]:
    """Two tables: costs and ways, CPU by process."""
    head = ["calls", "streamer us", "worker us", "listening us", "in p50/95/99 ms", "out p50/95/99 ms", "read p95 ms"]
    head += ["answers", "answer p50 s", "lost", "turn CPU ms", "KiB/call s/w/r", "redis B/s/call", "by worker", ""]
    lines = []
    for one in rows:
        talking, listening = one.talking, one.listening
        lines.append(
            [
                f"{one.calls}",
                f"{talking.streamer_us:.1f}",
                f"{talking.worker_us:.1f}",
                f"{listening.streamer_us:.1f}+{listening.worker_us:.1f}",
                _ways(talking.hop_in_ms),
                _ways(one.hop_out_ms),
                f"{talking.read_ms['p95']:.1f}",
                f"{one.answered}/{one.asked}",
                f"{one.answer_ms['p50'] / 1000:.2f}",
                f"{one.lost}",
                f"{one.turn_cpu_ms:.1f}",
                "/".join(f"{value:.0f}" for value in one.memory_kib.values()),
                f"{talking.redis_in + talking.redis_out:.0f}",
                "+".join(map(str, one.held)),
                "; ".join(one.broken),
            ]
        )
    names = list(rows[0].talking.cores)
    cores = [[f"{one.calls}", *(f"{one.talking.cores[name]:.3f}" for name in names)] for one in rows]
    return [*columns(head, lines), "", "cores used, callers converse", *columns(["calls", *names], cores)]


def _ways(ways: Spread) -> str:
    return "/".join(f"{ways[name]:.0f}" for name in ("p50", "p95", "p99"))
