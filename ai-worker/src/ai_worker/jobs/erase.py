"""Erases what is kept of a call: its folder (and nothing that is not a call's) and its keys in Redis."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from ai_worker.jobs import recording, write_record
from ai_worker.jobs.record import CallRecord
from callbus import keys
from callbus.broker import Broker
from callbus.errors import BadCallId


def call_folders(calls_dir: Path) -> Iterator[Path]:
    """The folders that are calls': named like one, and with a record of that call or parts of a recording in them."""
    if not calls_dir.is_dir():
        return
    for folder in sorted(calls_dir.iterdir()):
        if folder.is_symlink() or not folder.is_dir():
            continue
        try:
            named = keys.clean_call_id(folder.name) == folder.name
        except BadCallId:
            continue
        record = write_record.read_record(folder)
        if named and ((record and record.call_id == folder.name) or (record is None and _parts(folder))):
            yield folder


def last_touched(folder: Path, record: CallRecord | None) -> float:
    """When the call was over (epoch s); without a record, when its newest part was written."""
    if record and record.times:
        return max(record.times.values())
    return max((path.stat().st_mtime for path in _ours(folder)), default=time.time())


def erase_folder(folder: Path) -> bool:
    """Delete the call's files, the record last (a run that is killed is gone on with); False if others' files stay."""
    if folder.is_symlink():
        return False
    for path in _ours(folder):
        path.unlink(missing_ok=True)
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


async def erase_keys(broker: Broker, call_id: str) -> None:
    """Delete all that Redis knows of a call, its dead letter included; its events are `past_events`' part."""
    call = await broker.hash(keys.call(call_id))
    numbers = call.get("from_number", ""), call.get("to_number", "")
    listings = (keys.by_numbers(*numbers), keys.DEAD_LETTERS, keys.RECENT)
    await broker.pipeline([("ZREM", listing, call_id) for listing in listings])
    await broker.pipeline([("DEL", key) for key in keys.of_call(call_id)])


def _parts(folder: Path) -> list[Path]:
    return list(folder.glob("*.part"))


def _ours(folder: Path) -> list[Path]:
    parts = _parts(folder)
    sidecars = [side for part in parts if (side := part.with_suffix(".json")).exists()]
    named = [folder / recording.FILE, folder / write_record.FILE]
    return [*folder.glob(".*.tmp"), *sidecars, *parts, *(path for path in named if path.exists())]
