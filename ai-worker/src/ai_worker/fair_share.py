"""Which worker takes the next call: the one with the most room. The others hold back for a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from callbus import registry
from callbus.broker import Broker
from callbus.claims import Claims
from callbus.errors import BusUnavailable

LOOK_EVERY_S = 1.0
"""How often the other workers' heartbeats are read; they beat once a second."""
HOLD_BACK_S = 0.2
"""How long a call may wait for a worker with more room before any worker takes it: a tenth of what a caller waits
before the streamer helps itself (FALLBACK_AFTER_S)."""
SLACK = 1.05
"""A worker holds back when its calls, the next one included, are above the emptiest one's by more than this."""


def holds_back(mine: int, capacity: int, others: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a worker with `mine` calls of `capacity` leaves the next call to another one.

    `others` are the heartbeats of the other workers. Those that are full or leaving don't count. Shares of capacities
    are compared, so that a larger worker takes more.
    """
    shares = [
        (beat["calls"] + 1) / beat["capacity"]
        for beat in others
        if not beat.get("draining") and beat["calls"] < beat["capacity"]
    ]
    return bool(shares) and (mine + 1) / capacity > SLACK * min(shares)


class FairShare:
    """What one worker knows of the others. Run `watch` in the background."""

    def __init__(self, broker: Broker, claims: Claims, kind: str, worker: str, *, capacity: int) -> None:
        self._broker = broker
        self._claims = claims
        self._kind = kind
        self._worker = worker
        self._capacity = capacity
        self._others: list[dict[str, Any]] = []

    async def holds_back(self) -> bool:
        """Whether another worker should have the next call. Raises BusUnavailable."""
        if not self._others:
            return False
        # A heartbeat is up to a second old: in a burst everybody would still seem to have room.
        held = await self._claims.held()
        others = [beat | {"calls": held.get(beat["id"], 0)} for beat in self._others]
        return holds_back(held.get(self._worker, 0), self._capacity, others)

    async def watch(self) -> None:
        """Look who else is there until cancelled. While Redis is away, nobody is held back for."""
        while True:
            try:
                beats = await registry.running(self._broker)
            except BusUnavailable:
                beats = []
            self._others = [beat for beat in beats if beat["kind"] == self._kind and beat["id"] != self._worker]
            await asyncio.sleep(LOOK_EVERY_S)
