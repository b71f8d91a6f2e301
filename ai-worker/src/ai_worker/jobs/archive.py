"""Where a call's files are: in CALLS_DIR until they are stored in the bucket, from then on there."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import ValidationError

from ai_worker.jobs.desk import Desk
from ai_worker.jobs.files import replacing
from ai_worker.jobs.record import CallRecord
from callbus import keys
from callbus.broker import Broker
from callbus.bucket import RECORD, RECORDING, Bucket

STORED_AT = "stored_at"
"""Field of the call's hash: from then on (epoch s) something of the call may be in the bucket."""
_PIECE_BYTES = 4 * 1024 * 1024

# KEYS: call hash; ARGV: field, now
_MARK = """
if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) end
return 0
"""


async def record_body(desk: Desk, call_id: str) -> bytes | None:
    """The call's record as it is kept; None when there is none. Raises OSError, BucketUnavailable among it."""
    # In this order: a file leaves the folder when it is in the bucket, and comes back before it is changed.
    body = await asyncio.to_thread(_read, desk.calls_dir / keys.clean_call_id(call_id) / RECORD)
    if body is None and desk.bucket is not None:
        body = await desk.bucket.get(call_id, RECORD)
    return body


async def find_record(desk: Desk, call_id: str) -> CallRecord | None:
    """The call's record; None when there is none that can be read. Raises OSError, BucketUnavailable among it."""
    body = await record_body(desk, call_id)
    try:
        return CallRecord.model_validate_json(body) if body is not None else None
    except ValidationError:
        return None


async def mark_stored(broker: Broker, call_id: str, now: float) -> None:
    """To be done before the first file goes to the bucket. A call that Redis has forgotten stays forgotten."""
    await broker.script(_MARK, [keys.call(call_id)], [STORED_AT, f"{now:.3f}"])


async def bring_back(bucket: Bucket, folder: Path, call: dict[str, str]) -> None:
    """Have what the bucket knows of the call in its folder, to be changed there. Raises OSError.

    `call` is the call's hash. Whoever calls it holds the lock for writing.
    """
    call_id = folder.name
    never_stored = "media_at" in call and STORED_AT not in call
    if never_stored:
        return  # a first record is written while the bucket is away, too
    record = folder / RECORD
    if not record.exists():
        body = await bucket.get(call_id, RECORD)
        if body is None:
            return
        await asyncio.to_thread(_put_back, record, body)
    # The recording is needed only to join new parts to it.
    if await asyncio.to_thread(_lacks_recording, folder):
        await _download(bucket, call_id, folder / RECORDING)


async def _download(bucket: Bucket, call_id: str, path: Path) -> None:
    got = await bucket.piece(call_id, RECORDING, 0, _PIECE_BYTES)
    if got is None:
        return
    with replacing(path) as file:
        piece, stored = got
        while True:
            await asyncio.to_thread(file.write, piece)
            if file.tell() >= stored.size:
                return
            start = file.tell()
            more = await bucket.piece(call_id, RECORDING, start, start + _PIECE_BYTES, version=stored.version)
            if more is None:
                raise InterruptedError(f"the recording of call {call_id} went away while it was read")
            piece = more[0]


def _lacks_recording(folder: Path) -> bool:
    return any(folder.glob("*.part")) and not (folder / RECORDING).exists()


def _put_back(path: Path, body: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(body)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
