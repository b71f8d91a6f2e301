"""The calls whose files are in CALLS_DIR. Reads files: for a thread."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from callbus import keys
from callbus.bucket import RECORD
from callbus.bucket_records import MOST_BYTES
from callbus.errors import BadCallId
from webhook_gateway.console.call_list import Line, line_of, parsed


class LocalCalls:
    """Knows every record by its file's time and size: a file is read again when it has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, tuple[tuple[int, int], Line | None]] = {}

    def lines(self) -> dict[str, Line]:
        """The list's line for each call that has one, by its id."""
        with self._lock:
            self._look()
            return {call_id: line for call_id, (_, line) in self._known.items() if line}

    def record(self, call_id: str) -> dict[str, Any] | None:
        """A call's record as it is; None when there is none. Raises BadCallId."""
        return _read(self.path(call_id, RECORD))

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
                self._known[name] = (version, line_of(name, _read(file)))
        for name in self._known.keys() - found:
            del self._known[name]


def _read(file: Path) -> dict[str, Any] | None:
    """A record; None for a file that is gone, or holds none."""
    try:
        return None if file.stat().st_size > MOST_BYTES else parsed(file.read_bytes())
    except OSError:
        return None
