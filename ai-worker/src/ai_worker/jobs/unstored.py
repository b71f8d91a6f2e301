"""What lies in CALLS_DIR and has yet to be stored in the bucket: how many files, and for how long."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from ai_worker.jobs.desk import Desk
from callbus.bucket import RECORD, RECORDING

LOOK_EVERY_S = 15.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Unstored:
    """`oldest_s` is how long ago (s) the oldest of the files was due; 0 while none is."""

    files: int = 0
    oldest_s: float = 0.0


def look(calls_dir: Path, *, after_s: float, now: float) -> Unstored:
    """Files are due `after_s` after they were written; what has no record yet is not for the bucket. Raises OSError."""
    files, oldest = 0, now
    with os.scandir(calls_dir) as entries:
        folders = [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for folder in folders:
        record = _written_at(folder / RECORD)
        if record is None:
            continue
        written = [at for at in (record, _written_at(folder / RECORDING)) if at is not None]
        files += len(written)
        oldest = min(oldest, *written)
    return Unstored(files, max(0.0, now - oldest - after_s))


def _written_at(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


async def watch(desk: Desk) -> None:
    """Measure it for as long as there is a bucket that the files should be in."""
    while desk.bucket is not None:
        try:
            found = await asyncio.to_thread(look, desk.calls_dir, after_s=desk.store_after_s, now=time.time())
        except OSError as error:
            log.warning("CALLS_DIR can't be read", reason=str(error))
        else:
            desk.metrics.unstored.set(found.files)
            desk.metrics.oldest_unstored.set(found.oldest_s)
        await asyncio.sleep(LOOK_EVERY_S)
