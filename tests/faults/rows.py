"""The rows of the fault table that are done to a fleet of calls."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from faults import redis_away, streamers, workers
from faults.fleet import Fleet, fleet
from faults.verdict import Done, Verdict, verdict
from ringover_sim.script import Media


class Fault(Protocol):
    """Does its fault to the running fleet, and waits until the effects are over. `short`: not every variant of it."""

    def __call__(self, fleet: Fleet, *, short: bool = False) -> Awaitable[Done]: ...


@dataclass(frozen=True, slots=True)
class Row:
    """A fault, and the fleet that it needs."""

    fault: Fault
    options: dict[str, Any] = field(default_factory=dict)


_RETURNING = Media(on_server_close="reconnect", reconnect_for=9.0)

ROWS: dict[str, Row] = {
    "worker-killed": Row(workers.killed),
    "worker-frozen": Row(workers.frozen),
    "deploy": Row(workers.deployed),
    "hand-over": Row(workers.handed_over, {"WORKER_DRAIN_TIMEOUT": str(workers.HAND_OVER_S)}),
    "streamer-killed": Row(streamers.killed, {"media": _RETURNING}),
    "streamer-drained": Row(streamers.drained),
    "redis-away": Row(redis_away.outages, {"durable_redis": True}),
    "redis-refuses": Row(redis_away.refusals),
}


async def run(name: str, calls: int, *, work: Path | None = None) -> Verdict:
    """One row, on a fleet of its own."""
    row = ROWS[name]
    async with fleet(calls, work=work, **row.options) as running:
        await running.talking()
        return await verdict(name, running, [await row.fault(running)])


async def run_short(names: Sequence[str], calls: int, *, workers: int = 2, work: Path | None = None) -> Verdict:
    """Several rows, one after the other on one fleet, judged together."""
    options: dict[str, Any] = {}
    for name in names:
        options |= ROWS[name].options
    async with fleet(calls, workers=workers, work=work, **options) as running:
        await running.talking()
        return await verdict(", ".join(names), running, [await ROWS[name].fault(running, short=True) for name in names])
