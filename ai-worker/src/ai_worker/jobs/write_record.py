"""The job that writes a call's record: Redis and the streamer's files in, `call.json` and `call.wav` out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from arq import Retry
from pydantic import BaseModel, ValidationError

from ai_worker.jobs.files import remove_leftovers, replacing
from ai_worker.jobs.record import CallRecord, build_record
from ai_worker.jobs.recording import Recording, join, remove_parts
from callbus import calls, keys, transcript
from callbus.broker import Broker
from callbus.errors import BadMessage, BusUnavailable

FILE = "call.json"
MAX_TRIES = 8
MEDIA_TRIES = 5
"""So many tries (31 s with their delays) are spent on waiting for the media's end."""
WEBHOOK_TRIES = 2
"""And so many (3 s) on waiting for Ringover's word on the call's end, which comes by itself."""
SETTLE_S = 1.0
"""The streamer says that the media is over, then closes the recording's last part."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Desk:
    """What the job works with. It is given up, and tried again, after `timeout_s`."""

    broker: Broker
    calls_dir: Path
    timeout_s: float


def delay_s(job_try: int) -> float:
    """How long to wait after that try (from 1) before the next one: 1, 2, 4 … 30 s."""
    return float(min(30, 2 ** (job_try - 1)))


async def write_record(ctx: dict[str, Any], call_id: str) -> None:
    """arq job: write or rewrite what is kept of a call. Done again, it comes to the same."""
    desk: Desk = ctx["desk"]
    job_try: int = ctx["job_try"]
    try:
        async with asyncio.timeout(desk.timeout_s):
            await _write(desk, keys.clean_call_id(call_id), job_try)
    except (OSError, BusUnavailable) as error:  # a time-out is an OSError, too
        if job_try >= MAX_TRIES:
            raise
        reason = str(error) or type(error).__name__
        log.warning("record not written yet", job_try=job_try, retry_in_s=delay_s(job_try), reason=reason)
        raise Retry(defer=delay_s(job_try)) from error


async def _write(desk: Desk, call_id: str, job_try: int) -> None:
    call = await calls.get(desk.broker, call_id)
    on_the_line = call.get("media") == "connected"
    if job_try <= MEDIA_TRIES and (on_the_line or time.time() - float(call.get("media_ended_at", 0)) < SETTLE_S):
        raise Retry(defer=delay_s(job_try))
    if job_try <= WEBHOOK_TRIES and call.get("state") in ("ringing", "answered"):
        raise Retry(defer=delay_s(job_try))
    entries, unreadable = await _transcript(desk.broker, call_id)
    if on_the_line:
        log.warning("the media has not ended: the record is written without its end")
    stop = threading.Event()
    try:
        record = await asyncio.to_thread(
            _write_files,
            desk.calls_dir / call_id,
            call_id,
            call,
            entries,
            unreadable,
            complete=not on_the_line,
            stop=stop,
        )
    finally:
        stop.set()  # a thread can't be cancelled: it looks at this
    if record is None:
        log.warning("nothing is known of this call any more: no record written")
        return
    length = record.recording.duration_s if record.recording else 0
    log.info("record written", outcome=record.outcome, turns=len(record.turns), recording_s=length)


async def _transcript(broker: Broker, call_id: str) -> tuple[list[transcript.Entry], list[str]]:
    entries, unreadable = [], []
    for entry_id, fields in await broker.range(keys.transcript(call_id)):
        try:
            entries.append(transcript.decode(fields))
        except BadMessage as error:
            unreadable.append(f"{entry_id.decode()}: {error}")
    return entries, unreadable


def _write_files(
    folder: Path,
    call_id: str,
    call: Mapping[str, str],
    entries: list[transcript.Entry],
    unreadable: list[str],
    *,
    complete: bool,
    stop: threading.Event,
) -> CallRecord | None:
    if not call and not entries and ((folder / FILE).exists() or not folder.exists()):
        return None  # Redis has forgotten the call: what the disk knows of it stays
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    before = _recorded_before(folder)
    # A run that was killed between its record and here left parts that call.wav already holds.
    remove_parts(folder, before)
    rate = call.get("sample_rate", "")
    recording = join(
        folder, before=before, sample_rate=int(rate) if rate.isdigit() else 8000, complete=complete, stop=stop
    )
    record = build_record(call_id, call, entries, recording=recording, unreadable=unreadable)
    if stop.is_set():
        raise InterruptedError("the job was given up")
    with replacing(folder / FILE) as file:
        file.write(record.model_dump_json(indent=2).encode() + b"\n")
    remove_parts(folder, recording)
    return record


class _EarlierRecord(BaseModel):
    recording: Recording | None


def _recorded_before(folder: Path) -> Recording | None:
    try:
        return _EarlierRecord.model_validate_json((folder / FILE).read_bytes()).recording
    except (FileNotFoundError, ValidationError):
        return None
