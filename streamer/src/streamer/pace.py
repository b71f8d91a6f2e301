"""How fast one client is read: faster than any call, and not so fast that the other calls wait for it. Sans-I/O."""

from __future__ import annotations

AUDIO_BYTES = 320
"""20 ms at 8000 Hz: so many bytes cost as much as one frame more."""
TOLD_A_FRAME = 8
"""A text message of few bytes may tell much: so many keys cost as much as one frame more."""
COST_PER_S = 2000.0
"""Ten times what a call with frames of 10 ms at 8000 Hz costs, four times one at 16000 Hz in stereo."""
COST_MAX = 2000.0
"""What may come at once: 20 s of 20 ms frames, after a stall."""


class Pace:
    """A budget of frames and bytes that time fills up again. `now` is in seconds, from any beginning."""

    __slots__ = ("_at", "_left")

    def __init__(self, now: float) -> None:
        self._left = COST_MAX
        self._at = now

    def allows(self, now: float) -> bool:
        """Whether more may be read now."""
        left = self._left + (now - self._at) * COST_PER_S
        self._left = min(COST_MAX, left)
        self._at = now
        return left > 0

    def spend(self, frames: int, size: int) -> None:
        """So many frames, of `size` bytes in all, were read."""
        self._left -= frames + size / AUDIO_BYTES

    def spend_told(self, things: int) -> None:
        """A text message, whose frame is paid for, told so many things: keys, most often."""
        self._left -= things / TOLD_A_FRAME

    @property
    def wait_s(self) -> float:
        """How long until more may be read (s)."""
        return -self._left / COST_PER_S if self._left < 0 else 0.0
