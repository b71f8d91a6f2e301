"""Erases calls: one person's when they ask for it, everybody's when they are older than RETENTION_DAYS."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError

from ai_worker.jobs import past_events
from ai_worker.jobs.desk import STORING, WRITING, Desk
from ai_worker.jobs.erase import call_folders, erase_folder, erase_keys, last_touched
from ai_worker.jobs.locks import Busy, alone
from ai_worker.jobs.past_events import PastEvents, theirs
from ai_worker.jobs.write_record import read_record
from callbus import calls, keys
from callbus.broker import Broker
from callbus.bucket import RECORD, Bucket, Stored
from callbus.bucket_records import BucketRecords
from callbus.errors import BucketUnavailable

_DAY_S = 24 * 3600
_LOCK_S = 30.0
_PATIENCE_S = 5.0
_SEPARATORS = re.compile(r"[\s().\-/\u2010-\u2015]")
_NUMBER = re.compile(r"[0-9]{4,15}")
"""The longest one that E.164 allows has 15 digits; more are two numbers, or a slip."""
_HASH = re.compile(r"call:\{([^{}]+)\}")

log = structlog.get_logger()


@dataclass(slots=True)
class Erased:
    """What came of erasing: ids of calls."""

    calls: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    """Left alone: the call, or a job about it, is running."""
    with_other_files: list[str] = field(default_factory=list)
    """Erased, but for files in the folder that are not the call's."""
    messages: int = 0
    """Events that belong to no call."""
    searched: list[str] = field(default_factory=list)
    """The places where the person's calls were looked for, in words."""


def digits(number: str) -> str:
    """A number as the records have it: digits with the country code. Raises ValueError for what may be another's."""
    expected = "expected it as it is dialled from abroad, like +33 6 12 34 56 78"
    written = _SEPARATORS.sub("", number)
    found = written.removeprefix("+") if written.startswith("+") else written.removeprefix("00")
    if "(0)" in re.sub(r"\s", "", number):
        raise ValueError(f"{number!r} is two numbers, with the 0 and without: {expected}")
    if not _NUMBER.fullmatch(found):
        raise ValueError(f"{number!r} is no phone number: {expected}")
    if found.startswith("0"):
        raise ValueError(f"{number!r} has no country code: {expected}")
    return found


async def forget(broker: Broker, calls_dir: Path, bucket: Bucket | None, number: str, erased: Erased) -> None:
    """Erase the calls and messages of the person with this number. Raises ValueError, BusUnavailable and OSError.

    A BucketUnavailable among them leaves the calls that are not in `erased` to be found again.
    """
    wanted = digits(number)
    erased.searched = await asyncio.to_thread(_places, calls_dir, bucket)
    stored = await _in_bucket(bucket, wanted) if bucket else set()
    here = await asyncio.to_thread(_on_disk, calls_dir, wanted)
    known = await _in_redis(broker, wanted)
    left = await past_events.find(broker, wanted)
    await past_events.erase(broker, left.others)
    erased.messages = len(left.others)
    for call_id in sorted(here | stored | known | left.calls):
        await _erase(broker, calls_dir, bucket, call_id, left, erased, recorded=call_id in stored)


def _places(calls_dir: Path, bucket: Bucket | None) -> list[str]:
    """Raises NotADirectoryError when there is none where records could be."""
    stores = [str(calls_dir.resolve())] if calls_dir.is_dir() else []
    stores += [bucket.url] if bucket else []
    if not stores:
        raise NotADirectoryError(
            f"nothing is erased: CALLS_DIR ({calls_dir.absolute()}) is no folder; set it to the one with the records"
        )
    return [*stores, "Redis"]


async def retention(ctx: dict[str, Any]) -> None:
    """arq cron job: erase the calls that were over more than RETENTION_DAYS ago."""
    desk: Desk = ctx["desk"]
    if not desk.retention_days:
        return
    before, erased = time.time() - desk.retention_days * _DAY_S, Erased()
    bucket, stored = desk.bucket, set[str]()
    try:
        stored = await _older_stored(desk, before)
    except BucketUnavailable as error:
        bucket = None
        log.warning("old calls in the bucket can't be erased now", reason=str(error))
    if old := sorted(stored.union(await asyncio.to_thread(_older, desk.calls_dir, before))):
        left = await past_events.find(desk.broker)
        for call_id in old:
            await _erase(desk.broker, desk.calls_dir, bucket, call_id, left, erased, recorded=call_id in stored)
    desk.metrics.erased.inc(len(erased.calls))
    if erased.calls or erased.running:
        log.info("old calls erased", calls=len(erased.calls), left_running=erased.running)
    if erased.with_other_files:
        log.warning("files that are not a call's were left in their folders", left=erased.with_other_files)


async def _erase(
    broker: Broker,
    calls_dir: Path,
    bucket: Bucket | None,
    call_id: str,
    left: PastEvents,
    erased: Erased,
    *,
    recorded: bool,
) -> None:
    folder = calls_dir / call_id
    try:
        async with (
            alone(broker, call_id, STORING, longest_s=_LOCK_S, patience_s=_PATIENCE_S),
            alone(broker, call_id, WRITING, longest_s=_LOCK_S, patience_s=_PATIENCE_S),
        ):
            recorded = recorded or read_record(folder) is not None
            if _is_running(await calls.get(broker, call_id), recorded=recorded):
                erased.running.append(call_id)
                return
            if bucket is not None:
                # First: while the folder is there, a run that was lost finds a recording whose record isn't stored yet.
                await _delete(bucket, call_id)
            if not await asyncio.to_thread(erase_folder, folder):
                erased.with_other_files.append(call_id)
            # The hash names the person: while it is there, a run that was killed finds the rest.
            await past_events.erase(broker, left.of_call.get(call_id, ()))
            await erase_keys(broker, call_id)
    except Busy:
        erased.running.append(call_id)
        return
    erased.calls.append(call_id)


async def _delete(bucket: Bucket, call_id: str) -> None:
    try:
        async with asyncio.timeout(_LOCK_S / 2):
            await bucket.delete(call_id)
    except TimeoutError as error:
        raise BucketUnavailable(f"the bucket {bucket.url} does not answer in time") from error


def _is_running(call: dict[str, str], *, recorded: bool) -> bool:
    if call.get("media") == "connected" or call.get("conversation") == "active":
        return True
    if recorded or "media_ended_at" in call:
        return False
    # A conversation that is over may have media that is not: the streamer still writes.
    return calls.is_active({name: value for name, value in call.items() if name != "conversation"})


def _on_disk(calls_dir: Path, wanted: str) -> set[str]:
    records = (read_record(folder) for folder in call_folders(calls_dir))
    return {
        record.call_id
        for record in records
        if record and theirs(wanted, record.direction, record.from_number, record.to_number)
    }


async def _in_redis(broker: Broker, wanted: str) -> set[str]:
    found: set[str] = set()
    cursor = b"0"
    while True:
        cursor, names = await broker.execute("SCAN", cursor, "MATCH", keys.call("*"), "COUNT", 1000)
        for name in names:
            if call_id := _HASH.fullmatch(name.decode()):
                call = await calls.get(broker, call_id[1])
                if theirs(wanted, call.get("direction"), call.get("from_number"), call.get("to_number")):
                    found.add(call_id[1])
        if int(cursor) == 0:
            return found


class _Parties(BaseModel):
    direction: str | None = None
    from_number: str | None = None
    to_number: str | None = None


def _parties(_call_id: str, body: bytes | None) -> _Parties | None:
    try:
        return _Parties.model_validate_json(body or b"")
    except ValidationError:
        return None


async def _in_bucket(bucket: Bucket, wanted: str) -> set[str]:
    records = BucketRecords(bucket, _parties)
    await records.read(await bucket.listing())
    return {
        call_id
        for call_id, record in records.known.items()
        if record and theirs(wanted, record.direction, record.from_number, record.to_number)
    }


class _Times(BaseModel):
    times: dict[str, float]


def over_at(_call_id: str, body: bytes | None) -> float | None:
    """When the call of this record was over (epoch s); None when the record doesn't say."""
    try:
        return max(_Times.model_validate_json(body or b"").times.values(), default=None)
    except ValidationError:
        return None


async def _older_stored(desk: Desk, before: float) -> set[str]:
    if desk.bucket is None or desk.over_at is None:
        return set()
    listing = await desk.bucket.listing()
    # What was stored before that moment was over by then, and a recording without a record says no more.
    found = {call_id for call_id, files in listing.items() if _last_stored(files) < before}
    undecided = {call_id: files for call_id, files in listing.items() if call_id not in found and RECORD in files}
    with suppress(TimeoutError):  # the next run goes on reading
        async with asyncio.timeout(desk.timeout_s / 2):
            await desk.over_at.read(undecided)
    return found | {call_id for call_id, at in desk.over_at.known.items() if at is not None and at < before}


def _last_stored(files: dict[str, Stored]) -> float:
    return max(stored.modified for stored in files.values())


def _older(calls_dir: Path, before: float) -> list[str]:
    return [folder.name for folder in call_folders(calls_dir) if last_touched(folder, read_record(folder)) < before]
