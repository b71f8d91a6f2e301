"""Past calls: the records in CALLS_DIR, found by number, date, agent and outcome. Reads files: for a thread."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from callbus import keys
from callbus.errors import BadCallId
from webhook_gateway.console.waveform import waveform

RECORD, RECORDING = "call.json", "call.wav"
_MOST_BYTES = 20 * 1024 * 1024
_WAVEFORMS_KEPT = 16


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

    def finds(self, call: Mapping[str, Any]) -> bool:
        numbers = (str(call["from_number"] or ""), str(call["to_number"] or ""))
        return (
            (self.number is None or any(self.number in number for number in numbers))
            and (self.since is None or call["started_at"] >= self.since)
            and (self.until is None or call["started_at"] < self.until)
            and (self.agent is None or call["agent"] == self.agent)
            and (self.outcome is None or call["outcome"] == self.outcome)
        )


class PastCalls:
    """Knows every record by its file's time and size: a file is read again when it has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[int, int], dict[str, Any] | None]] = {}
        self._waveforms: OrderedDict[tuple[str, int, int], dict[str, Any] | None] = OrderedDict()

    def search(self, wanted: Search) -> dict[str, Any]:
        """A page of calls, the newest first, and where the next one begins (None: this was the last)."""
        with self._lock:
            self._look()
            calls = [call for _, call in self._known.values() if call and wanted.finds(call)]
        calls.sort(key=_cursor_key, reverse=True)
        if wanted.before is not None:
            after = _read_cursor(wanted.before)
            calls = [call for call in calls if _cursor_key(call) < after]
        page = calls[: wanted.limit]
        return {"calls": page, "next": _cursor(page[-1]) if len(calls) > len(page) else None}

    def record(self, call_id: str) -> dict[str, Any] | None:
        """A call's record as it is, with the waveform of its recording; None when there is no record."""
        read = _read(self.path(call_id, RECORD))
        return None if read is None else {**read, "waveform": self._waveform(call_id)}

    def path(self, call_id: str, name: str) -> Path:
        """Where a call's file is, if there is one. Raises BadCallId."""
        return self._folder / keys.clean_call_id(call_id) / name

    def _look(self) -> None:
        found: set[str] = set()
        try:
            with os.scandir(self._folder) as folders:
                names = [entry.name for entry in folders if entry.is_dir(follow_symlinks=False)]
        except OSError:
            names = []
        for name in names:
            try:
                file = self.path(name, RECORD)
                status = file.stat()
            except (OSError, BadCallId):
                continue
            found.add(name)
            version = (status.st_mtime_ns, status.st_size)
            known = self._known.get(name)
            if known is None or known[0] != version:
                self._known[name] = (version, _summed_up(name, _read(file)))
        for name in self._known.keys() - found:
            del self._known[name]

    def _waveform(self, call_id: str) -> dict[str, Any] | None:
        wav = self.path(call_id, RECORDING)
        try:
            status = wav.stat()
        except OSError:
            return None
        version = (call_id, status.st_mtime_ns, status.st_size)
        with self._lock:
            if version in self._waveforms:
                self._waveforms.move_to_end(version)
                return self._waveforms[version]
        drawn = waveform(wav)
        with self._lock:
            self._waveforms[version] = drawn
            while len(self._waveforms) > _WAVEFORMS_KEPT:
                self._waveforms.popitem(last=False)
        return drawn


def _read(file: Path) -> dict[str, Any] | None:
    """A record; None for a file that is gone, or holds none."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            return None
        read = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def _summed_up(call_id: str, record: Mapping[str, Any] | None) -> dict[str, Any] | None:
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
