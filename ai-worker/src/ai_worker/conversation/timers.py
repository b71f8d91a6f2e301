"""Named deadlines: what a state machine waits for besides events."""

from __future__ import annotations


class Timers:
    """Deadlines by name; setting a name again moves it."""

    def __init__(self) -> None:
        self._deadlines: dict[str, float] = {}

    def set(self, name: str, deadline: float) -> None:
        self._deadlines[name] = deadline

    def cancel(self, *names: str) -> None:
        for name in names:
            self._deadlines.pop(name, None)

    def clear(self) -> None:
        self._deadlines.clear()

    def running(self, name: str) -> bool:
        return name in self._deadlines

    def next(self) -> float | None:
        return min(self._deadlines.values(), default=None)

    def pop_due(self, now: float) -> str | None:
        """The name of the earliest deadline that has come, taken off the list."""
        due = min(self._deadlines.items(), key=lambda item: item[1], default=None)
        if due is None or due[1] > now:
            return None
        del self._deadlines[due[0]]
        return due[0]
