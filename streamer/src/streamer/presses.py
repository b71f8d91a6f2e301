"""Tells one press of a key that is reported twice, by signalling and by its sound, from two presses. Sans-I/O."""

from __future__ import annotations

from dataclasses import dataclass

SAME_PRESS_S = 1.0
"""Signalling may come that much later than the end of the tone, or the tone that much later than its signalling."""


@dataclass(slots=True)
class _Report:
    digit: str
    heard: bool
    at: float


class Presses:
    """Each report is either a new press (True) or the other way's report of a press that is known (False).

    Reports are matched one to one, so that a key pressed twice counts twice. Times are seconds of any clock.
    """

    def __init__(self) -> None:
        self._unmatched: list[_Report] = []

    def signalled(self, digit: str, now: float) -> bool:
        """A key was told in a text message or in RTP (RFC 4733)."""
        return self._report(_Report(digit, False, now))

    def heard(self, digit: str, now: float) -> bool:
        """A key's tone was recognised in the audio."""
        return self._report(_Report(digit, True, now))

    def still_heard(self, now: float) -> None:
        """The tone of the latest key goes on: some media servers tell a key when it is released."""
        for report in reversed(self._unmatched):
            if report.heard:
                report.at = now
                return

    def _report(self, new: _Report) -> bool:
        self._unmatched = [report for report in self._unmatched if new.at - report.at <= SAME_PRESS_S]
        for report in self._unmatched:
            if report.digit == new.digit and report.heard != new.heard:
                self._unmatched.remove(report)
                return False
        self._unmatched.append(new)
        return True
