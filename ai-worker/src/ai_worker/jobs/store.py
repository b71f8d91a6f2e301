"""The job that moves a call's files from CALLS_DIR to the bucket: the recording, then the record, which implies it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from arq import Retry

from ai_worker.jobs.archive import mark_stored
from ai_worker.jobs.desk import STORING, WRITING, Desk
from ai_worker.jobs.locks import Busy, alone
from callbus import calls, keys
from callbus.bucket import RECORD, RECORDING, Bucket
from callbus.errors import BadCallId, BusUnavailable

MAX_TRIES = 1_000_000
"""arq's own limit: tries end when the files are stored, or deleted."""
SWEEP_MINUTES = frozenset(range(3, 60, 10))
_LONGEST_PAUSE_S = 600.0
_FIRST_PAUSE_S = 5.0
_ON_THE_LINE_PAUSE_S = 30.0
_AT_ONCE_S = 0.1
_REST_S = 10.0
"""So long after a failure, jobs don't ask the bucket: those that wait must not take the others' place."""
_LOCK_S = 30.0
_LOCK_MARGIN_S = 5.0

log = structlog.get_logger()


def pause_s(tries: int) -> float:
    """How long to wait after so many tries (from 1): 5 s, doubled up to ten minutes, half of it at random."""
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(tries - 1, 30)) * random.uniform(0.5, 1.0)


async def store(ctx: dict[str, Any], call_id: str) -> None:
    """arq job. Done again, it stores nothing twice; killed anywhere, it leaves each file in one place at least."""
    desk: Desk = ctx["desk"]
    if desk.bucket is None:
        return
    pause = pause_s(ctx["job_try"])
    if desk.bucket.failed_within(_REST_S):
        raise Retry(defer=max(pause, _REST_S))
    longest_s = desk.timeout_s + _LOCK_MARGIN_S
    try:
        async with (
            asyncio.timeout(desk.timeout_s),
            alone(desk.broker, keys.clean_call_id(call_id), STORING, longest_s=longest_s),
        ):
            await _store(desk, desk.bucket, call_id)
    except Busy as error:
        raise Retry(defer=pause) from error
    except (OSError, BusUnavailable) as error:
        reason = str(error) or f"not done within JOBS_TIMEOUT_S ({desk.timeout_s:g} s)"
        log.warning("files not stored yet", retry_in_s=round(pause, 1), reason=reason)
        raise Retry(defer=pause) from error


async def sweep(ctx: dict[str, Any]) -> None:
    """arq cron job: have everything stored whose job was lost, or that was recorded when there was no bucket."""
    desk: Desk = ctx["desk"]
    if desk.queue is not None and desk.bucket is not None:
        for call_id in await asyncio.to_thread(_recorded, desk.calls_dir):
            await desk.queue.store(call_id)


def _recorded(calls_dir: Path) -> list[str]:
    found = []
    for record in calls_dir.glob(f"*/{RECORD}"):
        try:
            found.append(keys.clean_call_id(record.parent.name))
        except BadCallId:
            continue
    return found


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is open; `digest` is its SHA-256. What takes its place has another `state`."""

    name: str
    file: BinaryIO
    digest: str
    state: tuple[int, int, int]


async def _store(desk: Desk, bucket: Bucket, call_id: str) -> None:
    folder = desk.calls_dir / call_id
    if (await calls.get(desk.broker, call_id)).get("media") == "connected":
        raise Retry(defer=_ON_THE_LINE_PAUSE_S)  # the caller is back: the files will change
    with ExitStack() as stack:
        # The record is opened first: one that is replaced meanwhile may name a recording that isn't stored yet.
        record = await asyncio.to_thread(_open, folder / RECORD, stack)
        if record is None:
            return
        recording = await asyncio.to_thread(_open, folder / RECORDING, stack)
        await mark_stored(desk.broker, call_id, time.time())
        files = [file for file in (recording, record) if file]
        new = [await _upload(bucket, call_id, file) for file in files]
    async with alone(desk.broker, call_id, WRITING, longest_s=_LOCK_S, patience_s=_LOCK_S):
        removed = await asyncio.to_thread(_remove, folder, files)
    log.info("files stored", new=sum(new), removed=removed)
    if not removed and any(_changed(folder, files)):
        raise Retry(defer=_AT_ONCE_S)


async def _upload(bucket: Bucket, call_id: str, file: _File) -> bool:
    if await bucket.digest(call_id, file.name) == file.digest:
        return False
    await bucket.put(call_id, file.name, file.file, digest=file.digest)
    return True


def _open(path: Path, stack: ExitStack) -> _File | None:
    try:
        file = stack.enter_context(path.open("rb"))
    except FileNotFoundError:
        return None
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    return _File(path.name, file, digest, _state(os.fstat(file.fileno())))


def _remove(folder: Path, files: list[_File]) -> bool:
    """Remove what is stored, the recording first; False when something has changed, or has yet to be joined."""
    if any(_changed(folder, files)) or any(folder.glob("*.part")):
        return False
    for file in files:
        (folder / file.name).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:
        log.info("the folder stays: there is more in it than a call's files")
    return True


def _changed(folder: Path, files: list[_File]) -> Iterator[bool]:
    """For each of a call's two files, whether it is another than the one that was stored."""
    stored = {file.name: file.state for file in files}
    for name in (RECORD, RECORDING):
        path = folder / name
        yield path.exists() and stored.get(name) != _state(path.stat())


def _state(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_ino, status.st_mtime_ns, status.st_size
