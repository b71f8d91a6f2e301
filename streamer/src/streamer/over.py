"""The calls that this streamer knows to be over, so that who comes back to one is refused before anything is begun."""

from __future__ import annotations

from collections import OrderedDict

from callbus import keys

MOST_CALLS = 10_000


class Over:
    """A call is over for RECONNECT_WINDOW_S after it was last knocked at. Times are of the event loop, in s."""

    def __init__(self) -> None:
        self._knocked_at: OrderedDict[str, float] = OrderedDict()
        """By call, the longest ago first."""
        self._untold: dict[str, None] = {}

    def add(self, call_id: str, now: float) -> None:
        """Redis has said so."""
        self._knocked_at[call_id] = now
        self._knocked_at.move_to_end(call_id)
        if len(self._knocked_at) > MOST_CALLS:
            self.discard(next(iter(self._knocked_at)))

    def discard(self, call_id: str) -> None:
        """It goes on, or has begun anew."""
        self._knocked_at.pop(call_id, None)
        self._untold.pop(call_id, None)

    def knock(self, call_id: str, now: float) -> bool:
        """Someone comes back to this call: whether it is over, and then stays so."""
        at = self._knocked_at.get(call_id)
        if at is None:
            return False
        if now - at >= keys.RECONNECT_WINDOW_S:
            self.discard(call_id)
            return False
        self.add(call_id, now)
        self._untold[call_id] = None
        return True

    def untold(self) -> list[str]:
        """The calls that were knocked at since this was last asked."""
        untold, self._untold = list(self._untold), {}
        return untold
