"""One call's clock: reads like epoch seconds, never goes back, and wakes the call when something is due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from callbus.busclock import BusClock


class CallClock:
    """`wake` is called at the moment that was asked for last."""

    def __init__(self, bus_clock: BusClock, wake: Callable[[], None]) -> None:
        self._bus_clock = bus_clock
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None
        # Whatever happens to the machine's clock, from now on nothing happens to this one.
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """s."""
        return time.monotonic() + self._offset

    @property
    def bus_ahead(self) -> float | None:
        """How far (s) Redis' clock is ahead of this one; None as long as that is not known."""
        ahead = self._bus_clock.ahead
        return None if ahead is None else ahead - self._offset

    def wake_at(self, moment: float | None) -> None:
        """Wake the call then and not before, at once if that is past; None: not at all."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if moment is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, moment - self.now()), self._wake)
