"""The list of past calls: what is kept of a record for it, what can be looked for, its pages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for; None: anything. Times are epoch s; `number` is a part of either number, digits only.

    `before` is the `next` of the page before.
    """

    number: str | None = None
    since: float | None = None
    until: float | None = None
    agent: str | None = None
    outcome: str | None = None
    before: str | None = None
    limit: int = 50

    def page(self, lines: Iterable[Line]) -> dict[str, Any]:
        """The newest first, and where the next page begins (None: this was the last). Raises ValueError."""
        calls = sorted((line for line in lines if self._finds(line)), key=_cursor_key, reverse=True)
        if self.before is not None:
            after = _read_cursor(self.before)
            calls = [call for call in calls if _cursor_key(call) < after]
        page = calls[: self.limit]
        return {"calls": page, "next": _cursor(page[-1]) if len(calls) > len(page) else None}

    def _finds(self, call: Mapping[str, Any]) -> bool:
        numbers = (str(call["from_number"] or ""), str(call["to_number"] or ""))
        return (
            (self.number is None or any(self.number in number for number in numbers))
            and (self.since is None or call["started_at"] >= self.since)
            and (self.until is None or call["started_at"] < self.until)
            and (self.agent is None or call["agent"] == self.agent)
            and (self.outcome is None or call["outcome"] == self.outcome)
        )


def parsed(body: bytes | None) -> dict[str, Any] | None:
    """A record; None for what is none."""
    try:
        read = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def line_of(call_id: str, record: Mapping[str, Any] | None) -> Line | None:
    """The list's line for a record; None for one that has no time."""
    if record is None:
        return None
    times, turns = record.get("times"), record.get("turns")
    moments = [time for time in times.values() if isinstance(time, int | float)] if isinstance(times, dict) else []
    if not moments:
        return None
    turns = turns if isinstance(turns, list) else []
    return {
        "call_id": call_id,
        **{name: record.get(name) for name in ("from_number", "to_number", "agent")},
        "started_at": min(moments),
        **{name: record.get(name) for name in ("duration_s", "outcome", "ended_by")},
        "turns": sum(1 for turn in turns if isinstance(turn, dict) and turn.get("caller")),
        "summary": record.get("summary"),
    }


def _cursor_key(call: Mapping[str, Any]) -> tuple[float, str]:
    return call["started_at"], call["call_id"]


def _cursor(call: Mapping[str, Any]) -> str:
    return f"{call['started_at']!r}~{call['call_id']}"


def _read_cursor(cursor: str) -> tuple[float, str]:
    """Raises ValueError."""
    started_at, _, call_id = cursor.partition("~")
    return float(started_at), call_id
