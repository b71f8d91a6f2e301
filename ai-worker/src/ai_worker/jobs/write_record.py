"""The job that writes a call's record: Redis and the streamer's files in, `call.json` and `call.wav` out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import structlog
from arq import Retry
from pydantic import BaseModel, ValidationError

from ai_worker.jobs.additions import Additions, keep_longer, with_additions
from ai_worker.jobs.archive import bring_back
from ai_worker.jobs.desk import WRITING, Desk
from ai_worker.jobs.files import remove_leftovers, replacing
from ai_worker.jobs.locks import alone
from ai_worker.jobs.prices import Prices
from ai_worker.jobs.record import CallRecord, build_record
from ai_worker.jobs.recording import Recording, join, remove_parts
from ai_worker.jobs.summary import conversation_digest, worth_it
from ai_worker.jobs.unserved import was_unserved
from callbus import calls, keys, transcript
from callbus.broker import Broker
from callbus.errors import BadMessage, BucketUnavailable, BusUnavailable

FILE = "call.json"
MAX_TRIES = 8
MEDIA_TRIES = 5
"""So many tries (31 s with their delays) are spent on waiting for the media's end."""
WEBHOOK_TRIES = 2
"""And so many (3 s) on waiting for Ringover's word on the call's end, which comes by itself."""
SETTLE_S = 1.0
"""The streamer says that the media is over, then closes the recording's last part."""
BUCKET_WAIT_S = 600.0
"""When the tries are spent because the bucket is away, a job of its own goes on after this long."""
SUMMARY_WAIT_S = 60.0
"""A record whose summary is being written is delivered without it after this long."""
_LOCK_MARGIN_S = 5.0

log = structlog.get_logger()


def delay_s(job_try: int) -> float:
    """How long to wait after that try (from 1) before the next one: 1, 2, 4 … 30 s."""
    return float(min(30, 2 ** (job_try - 1)))


@dataclass(frozen=True, slots=True)
class _Written:
    record: CallRecord
    content: str
    """SHA-256 of the file, in hex."""


async def write_record(ctx: dict[str, Any], call_id: str, late: bool = False, summarise: bool = True) -> None:
    """arq job: write or rewrite what is kept of a call. Done again, it comes to the same.

    `late` is for what came after the call: it changes a record, and does not make the first one, but for a call that
    ended without a worker: nobody else asks for that one. Without `summarise`, a missing summary is not asked for.
    """
    desk: Desk = ctx["desk"]
    job_try: int = ctx["job_try"]
    try:
        async with asyncio.timeout(desk.timeout_s):
            async with alone(
                desk.broker,
                keys.clean_call_id(call_id),
                WRITING,
                longest_s=desk.timeout_s + _LOCK_MARGIN_S,
                patience_s=desk.timeout_s,
            ):
                await _write(desk, call_id, job_try, late=late, summarise=summarise)
    except (OSError, BusUnavailable) as error:  # a time-out is an OSError, too
        if job_try >= MAX_TRIES:
            if isinstance(error, BucketUnavailable) and desk.queue is not None:
                await keep_longer(desk.broker, call_id)
                await desk.queue.record_later(call_id, late, summarise, after_s=BUCKET_WAIT_S)
                log.warning("record not written yet", retry_in_s=BUCKET_WAIT_S, reason=str(error))
                return
            raise
        reason = str(error) or type(error).__name__
        log.warning("record not written yet", job_try=job_try, retry_in_s=delay_s(job_try), reason=reason)
        raise Retry(defer=delay_s(job_try)) from error


async def _write(desk: Desk, call_id: str, job_try: int, *, late: bool, summarise: bool) -> None:
    folder = desk.calls_dir / call_id
    call = await calls.get(desk.broker, call_id)
    if desk.bucket is not None:
        await bring_back(desk.bucket, folder, call)
    unserved = was_unserved(call)
    if late and not unserved and "finished_at" not in call and not (folder / FILE).exists():
        return  # not a call of ours, or one whose record is about to be written, with this in it
    on_the_line = call.get("media") == "connected"
    if job_try <= MEDIA_TRIES and (on_the_line or time.time() - float(call.get("media_ended_at", 0)) < SETTLE_S):
        raise Retry(defer=delay_s(job_try))
    if job_try <= WEBHOOK_TRIES and call.get("state") in ("ringing", "answered") and (unserved or not late):
        raise Retry(defer=delay_s(job_try))
    entries, unreadable = await _transcript(desk.broker, call_id)
    additions = await Additions.of(desk.broker, call_id)
    if on_the_line:
        log.warning("the media has not ended: the record is written without its end")
    stop = threading.Event()
    try:
        written = await asyncio.to_thread(
            _write_files,
            folder,
            call_id,
            call,
            entries,
            unreadable,
            additions,
            complete=not on_the_line,
            stop=stop,
            prices=desk.prices,
        )
    finally:
        stop.set()  # a thread can't be cancelled: it looks at this
    if written is None:
        log.warning("nothing is known of this call any more: no record written")
        await _have_stored(desk, call_id, "")
        return
    record = written.record
    length = record.recording.duration_s if record.recording else 0
    log.info("record written", outcome=record.outcome, turns=len(record.turns), recording_s=length)
    await _go_on(desk, call_id, written, summarise=summarise)


async def _go_on(desk: Desk, call_id: str, written: _Written, *, summarise: bool) -> None:
    """Ask for what follows. Who is lost before does it all again."""
    if desk.queue is None:
        return
    await _have_stored(desk, call_id, written.content)
    record = written.record
    summarising = summarise and desk.scribe is not None and record.summary is None and worth_it(record)
    if summarising:
        await desk.queue.summarise(call_id, conversation_digest(written.record))
    if desk.webhook:
        await desk.queue.deliver(call_id, written.content, after_s=SUMMARY_WAIT_S if summarising else 0)


async def _have_stored(desk: Desk, call_id: str, content: str) -> None:
    if desk.queue is not None and desk.bucket is not None:
        await desk.queue.store(call_id, content, after_s=desk.store_after_s)


async def _transcript(broker: Broker, call_id: str) -> tuple[list[transcript.Entry], list[str]]:
    entries, unreadable = [], []
    for entry_id, fields in await broker.range(keys.transcript(call_id)):
        try:
            entries.append(transcript.decode(fields))
        except BadMessage as error:
            unreadable.append(f"{entry_id.decode()}: {error}")
    return entries, unreadable


def read_record(folder: Path) -> CallRecord | None:
    """The call's record; None when there is none that can be read."""
    try:
        return CallRecord.model_validate_json((folder / FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _write_files(
    folder: Path,
    call_id: str,
    call: Mapping[str, str],
    entries: list[transcript.Entry],
    unreadable: list[str],
    additions: Additions,
    *,
    complete: bool,
    stop: threading.Event,
    prices: Prices | None,
) -> _Written | None:
    if not call and not entries and not folder.exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    earlier = read_record(folder)
    if not entries and (folder / FILE).exists() and (earlier is None or (not call and not additions.aftercall)):
        return None  # Redis has forgotten the call: what the disk knows of it stays
    remove_leftovers(folder)
    before = _recorded_before(folder)
    # A run that was killed between its record and here left parts that call.wav already holds.
    remove_parts(folder, before)
    rate = call.get("sample_rate", "")
    recording = join(
        folder, before=before, sample_rate=int(rate) if rate.isdigit() else 8000, complete=complete, stop=stop
    )
    if earlier and not entries and (earlier.claims or "media_at" not in call):
        # What a late webhook wrote into the hash is no reason to forget the call.
        record = earlier.model_copy(update={"recording": recording})
    else:
        record = build_record(call_id, call, entries, recording=recording, unreadable=unreadable, prices=prices)
    record = with_additions(record, additions, earlier)
    if stop.is_set():
        raise InterruptedError("the job was given up")
    body = record.model_dump_json(indent=2).encode() + b"\n"
    with replacing(folder / FILE) as file:
        file.write(body)
    remove_parts(folder, recording)
    return _Written(record, sha256(body).hexdigest())


class _EarlierRecord(BaseModel):
    recording: Recording | None


def _recorded_before(folder: Path) -> Recording | None:
    try:
        return _EarlierRecord.model_validate_json((folder / FILE).read_bytes()).recording
    except (FileNotFoundError, ValidationError):
        return None
