"""Which presses of keys count: one that is told by signalling and by its sound counts once, and a flood of them not.
Sans-I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

SAME_PRESS_S = 1.0
"""Signalling may come that much later than the end of the tone, or the tone that much later than its signalling."""
MOST_UNMATCHED = 64
"""Of one key, within that time."""
PRESSES_PER_S = 20.0
"""Nobody's finger is faster, nor any dialler: a tone takes 40 ms, and so does the pause behind it."""
PRESSES_AT_ONCE = 64
"""Two messages of as many keys as one may tell."""


@dataclass(slots=True)
class _Report:
    heard: bool
    at: float


class Presses:
    """Each report is either a new press (True) or the other way's report of a press that is known (False).

    Reports are matched one to one, so that a key pressed twice counts twice. Times are seconds of any clock.
    """

    def __init__(self) -> None:
        self._unmatched: dict[str, deque[_Report]] = {}
        """By key, the oldest first; those of one key are all heard or all signalled, or they would match."""
        self._sounding: _Report | None = None

    def signalled(self, digit: str, now: float) -> bool:
        """A key was told in a text message or in RTP (RFC 4733)."""
        return self._report(digit, _Report(False, now))

    def heard(self, digit: str, now: float) -> bool:
        """A key's tone was recognised in the audio."""
        report = self._sounding = _Report(True, now)
        return self._report(digit, report)

    def still_heard(self, now: float) -> None:
        """The tone of the latest key goes on: some media servers tell a key when it is released."""
        if self._sounding is not None:
            self._sounding.at = now

    def _report(self, digit: str, new: _Report) -> bool:
        of_key = self._unmatched.setdefault(digit, deque(maxlen=MOST_UNMATCHED))
        while of_key and new.at - of_key[0].at > SAME_PRESS_S:
            of_key.popleft()
        if of_key and of_key[0].heard != new.heard:
            of_key.popleft()
            return False
        of_key.append(new)
        return True


class Ration:
    """How many presses of one caller are taken: each is an entry in Redis, and one more thing to answer."""

    def __init__(self) -> None:
        self._left = float(PRESSES_AT_ONCE)
        self._at = 0.0

    def allows(self, now: float) -> bool:
        """Take one more, if it may be. `now` is in seconds, of any clock that began before."""
        self._left = min(PRESSES_AT_ONCE, self._left + (now - self._at) * PRESSES_PER_S)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
