"""Redis' clock as this process reads it: the one clock that all machines of a cell can see, so that times which were
taken on two of them can be compared."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass

from callbus.broker import Broker, until_available

PERIOD_S = 2.0
KEPT = 15
"""Half a minute: a busy moment's slow answers don't count while there are better ones."""
DRIFT = 100e-6
"""The most that two machines' quartzes go apart, s per s."""


@dataclass(frozen=True, slots=True)
class _Sample:
    """Redis was `ahead` s of the monotonic clock at `at`, give or take `error` s."""

    at: float
    ahead: float
    error: float


class BusClock:
    """Asks Redis for its time every 2 s while `run` runs. Times given are s of this process's monotonic clock."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=KEPT)
        self._best: _Sample | None = None

    @property
    def ahead(self) -> float | None:
        """Redis' clock (epoch s) less this process's monotonic clock (s); None as long as it is not known."""
        return self._best.ahead if self._best else None

    @property
    def error(self) -> float:
        """How far off `ahead` may be, s."""
        return self._best.error if self._best else float("inf")

    def observe(self, sent: float, received: float, bus_time: float) -> None:
        """Redis answered a question of `sent` with `bus_time` (epoch s), and the answer was here at `received`."""
        new = _Sample(received, bus_time - (sent + received) / 2, (received - sent) / 2)
        if any(not _agree(old, new) for old in self._samples):
            # One of the two clocks was set: what was known is about another time.
            self._samples.clear()
        self._samples.append(new)
        self._best = min(self._samples, key=lambda sample: sample.error + DRIFT * (received - sample.at))

    async def run(self, broker: Broker) -> None:
        """Ask until cancelled; an outage of Redis is waited out."""
        while True:
            await until_available(lambda: self.ask(broker))
            await asyncio.sleep(PERIOD_S)

    async def ask(self, broker: Broker) -> None:
        """Ask once. Raises BusUnavailable."""
        sent = time.monotonic()
        seconds, microseconds = await broker.execute("TIME")
        self.observe(sent, time.monotonic(), int(seconds) + int(microseconds) / 1e6)


def _agree(one: _Sample, other: _Sample) -> bool:
    allowed = one.error + other.error + DRIFT * abs(one.at - other.at)
    return abs(one.ahead - other.ahead) <= allowed
