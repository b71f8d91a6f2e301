"""Which worker takes the next call: the one that holds the fewest. The others hold back for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from callbus import registry
from callbus.broker import Broker
from callbus.claims import Claims
from callbus.errors import BusUnavailable

LOOK_EVERY_S = 1.0
"""How often the other workers' heartbeats are read; they beat once a second."""
GONE_AFTER_S = 2.0
"""A worker that has not asked Redis for anything for so long takes no call."""
HOLD_BACK_S = 0.2
"""How long a call may wait for a worker with fewer before any worker takes it: a tenth of what a caller waits before
the streamer helps itself (FALLBACK_AFTER_S)."""
TIDY_EVERY_S = 60.0
"""How often it is looked for workers that died without leaving: every worker reads of them before each call."""
FORGOTTEN_AFTER_S = 3600.0
"""A worker that holds nothing, and has not asked for anything for so long, will not come back."""
SLACK = 1.05
"""A worker holds back when its calls, the next one included, are above the emptiest one's by more than this."""


def holds_back(mine: int, others: Iterable[int]) -> bool:
    """Whether a worker with `mine` calls leaves the next one to another; `others` are the calls of those with room."""
    fewest = min(others, default=mine)
    return mine + 1 > SLACK * (fewest + 1)


class FairShare:
    """What one worker knows of the others. Run `watch` in the background."""

    def __init__(self, broker: Broker, claims: Claims, kind: str, worker: str) -> None:
        self._broker = broker
        self._claims = claims
        self._kind = kind
        self._worker = worker
        self._takes_none: set[str] = set()

    async def holds_back(self) -> bool:
        """Whether another worker should have the next call. Raises BusUnavailable.

        The leases tell, not the heartbeats: those are up to a second old, and in a burst everybody would still seem to
        have room.
        """
        held = await self._claims.held()
        others = (
            calls
            for worker, (calls, asked_ago_s) in held.items()
            if worker != self._worker and worker not in self._takes_none and asked_ago_s < GONE_AFTER_S
        )
        mine, _ = held.get(self._worker, (0, 0.0))
        return holds_back(mine, others)

    async def watch(self) -> None:
        """Look who is full, or leaving, and have those forgotten who are long dead; until cancelled."""
        tidied = -TIDY_EVERY_S
        while True:
            try:
                beats = await registry.running(self._broker)
                if time.monotonic() - tidied >= TIDY_EVERY_S:
                    await self._claims.remove_gone(idle_s=FORGOTTEN_AFTER_S)
                    tidied = time.monotonic()
            except BusUnavailable:
                beats = []
            self._takes_none = {
                beat["id"]
                for beat in beats
                if beat["kind"] == self._kind and (beat["draining"] or beat["calls"] >= beat["capacity"])
            }
            await asyncio.sleep(LOOK_EVERY_S)
