"""The calls whose files are in the bucket: known by their records, which are read when they are new or have changed."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator

from callbus.bucket import RECORDING, Bucket, Stored
from callbus.bucket_records import BucketRecords
from callbus.errors import BucketUnavailable
from webhook_gateway.console.call_list import Line, line_of, parsed

LOOK_EVERY_S = 5.0
PATIENCE_S = 5.0
"""A search shows what is known by then."""
_PIECE_BYTES = 1024 * 1024


class StoredCalls:
    """Looks into the bucket when somebody searches, and not again within LOOK_EVERY_S unless there are news."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._records: BucketRecords[Line | None] = BucketRecords(
            bucket, lambda call_id, body: line_of(call_id, parsed(body))
        )
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._problem: str | None = None

    async def lines(self, *, news: bool) -> tuple[dict[str, Line], str | None]:
        """The list's line for each call that has one, by its id; and why some are missing (None: none are).

        `news`: there is something new in the bucket.
        """
        if self._looking is None and (news or time.monotonic() - self._looked_at >= LOOK_EVERY_S):
            self._looking = asyncio.create_task(self._look())
        if self._looking is not None:
            # Not cancelled with the request: the next search finds what was read until then.
            await asyncio.wait({self._looking}, timeout=PATIENCE_S)
        problem = self._problem
        if self._looking is not None:
            to_read = f"{self._records.unread} records" if self._records.unread else "its list"
            problem = f"the bucket {self._bucket.url} is still being read: {to_read} to go"
        return {call_id: line for call_id, line in self._records.known.items() if line}, problem

    async def _look(self) -> None:
        try:
            await self._records.read(await self._bucket.listing())
        except BucketUnavailable as error:
            self._problem = str(error)
        else:
            self._problem = None
        finally:
            self._looked_at = time.monotonic()
            self._looking = None


async def recording(bucket: Bucket, call_id: str) -> Stored | None:
    """What the bucket says of a call's recording; None when there is none. Raises BucketUnavailable."""
    found = await bucket.piece(call_id, RECORDING, 0, 1)
    return found[1] if found else None


async def sound(bucket: Bucket, call_id: str, stored: Stored, start: int, end: int) -> AsyncIterator[bytes]:
    """The recording's bytes from `start` up to `end`, in pieces, whatever time the listener takes for each.

    Raises BucketUnavailable, also when it isn't the same recording any more.
    """
    while start < end:
        piece = await _piece(bucket, call_id, stored, start, end)
        yield piece
        start += len(piece)


async def _piece(bucket: Bucket, call_id: str, stored: Stored, start: int, end: int) -> bytes:
    end = min(end, start + _PIECE_BYTES)
    found = await bucket.piece(call_id, RECORDING, start, end, version=stored.version)
    if found is None or len(found[0]) != end - start:
        raise BucketUnavailable("the recording went away while it was read")
    return found[0]


class RecordingFile(io.RawIOBase):
    """A recording in the bucket as a file that is read from its beginning, by a thread beside the loop."""

    def __init__(self, bucket: Bucket, call_id: str, stored: Stored, loop: asyncio.AbstractEventLoop) -> None:
        self._bucket, self._call_id, self._stored = bucket, call_id, stored
        self._loop = loop
        self._read = 0
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if not self._piece and self._read < self._stored.size:
            more = _piece(self._bucket, self._call_id, self._stored, self._read, self._stored.size)
            self._piece = memoryview(asyncio.run_coroutine_threadsafe(more, self._loop).result())
            self._read += len(self._piece)
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size
