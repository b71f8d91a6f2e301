"""Appends to files in a thread of its own, within a bound of what may wait. Errors are counted, never raised."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog

MOST_WAITING_BYTES = 32 << 20

log = structlog.get_logger()


class Disk:
    """One thread for all recordings of the process."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="recordings")
        self._lock = threading.Lock()
        self._waiting = 0
        self._failing: set[Path] = set()
        self.errors = 0
        """Blocks that could not be written."""
        self.dropped_bytes = 0
        """Bytes that were not written because the disk was too slow."""

    def append(self, path: Path, block: bytes) -> bool:
        """Append a block later; False (and nothing is written) when too much waits already."""
        with self._lock:
            if self._waiting + len(block) > MOST_WAITING_BYTES:
                self.dropped_bytes += len(block)
                return False
            self._waiting += len(block)
        self._thread.submit(self._append, path, block)
        return True

    def write_json(self, path: Path, values: Mapping[str, Any]) -> None:
        """Write a small file later."""
        self._thread.submit(self._write, path, json.dumps(values).encode())

    def close(self) -> None:
        """Write what waits, and end the thread. Blocks until then."""
        self._thread.shutdown(wait=True)

    def _append(self, path: Path, block: bytes) -> None:
        try:
            self._open_and_write(path, block, "ab")
        finally:
            with self._lock:
                self._waiting -= len(block)

    def _write(self, path: Path, content: bytes) -> None:
        self._open_and_write(path, content, "wb")

    def _open_and_write(self, path: Path, content: bytes, mode: str) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open(mode) as file:
                file.write(content)
        except OSError as error:
            self.errors += 1
            if path not in self._failing:
                self._failing.add(path)
                call_id = path.parent.name
                log.error("a recording can't be written", call_id=call_id, path=str(path), error=str(error))
        else:
            self._failing.discard(path)
