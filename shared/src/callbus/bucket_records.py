"""What is known of every record in the bucket: each is read once, and again when it has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from callbus.bucket import RECORD, Bucket, Stored

MOST_BYTES = 20 * 1024 * 1024
"""A larger file is no record."""

T = TypeVar("T")


class BucketRecords(Generic[T]):
    """`of` makes of a call's id and its record's bytes (None: too large) what is kept of it.

    At most `at_once` records are read at a time, the latest first.
    """

    def __init__(self, bucket: Bucket, of: Callable[[str, bytes | None], T], *, at_once: int = 16) -> None:
        self._bucket = bucket
        self._of = of
        self._at_once = at_once
        self._known: dict[str, tuple[str, T]] = {}
        self.unread = 0
        """How many a running `read` has still to read."""

    @property
    def known(self) -> dict[str, T]:
        """By call id, as of now."""
        return {call_id: value for call_id, (_, value) in self._known.items()}

    async def read(self, listing: Mapping[str, Mapping[str, Stored]]) -> None:
        """Bring it up to date with a listing of the bucket. What was read before a BucketUnavailable stays."""
        records = {call_id: files[RECORD] for call_id, files in listing.items() if RECORD in files}
        for gone in self._known.keys() - records.keys():
            del self._known[gone]
        changed = [
            (call_id, stored)
            for call_id, stored in records.items()
            if call_id not in self._known or self._known[call_id][0] != stored.version
        ]
        changed.sort(key=lambda found: found[1].modified)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._at_once, len(changed))):
                    group.create_task(self._read_one_by_one(changed))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        finally:
            self.unread = 0

    async def _read_one_by_one(self, changed: list[tuple[str, Stored]]) -> None:
        while changed:
            call_id, stored = changed.pop()
            self.unread = len(changed)
            body = await self._bucket.get(call_id, RECORD, most_bytes=MOST_BYTES)
            self._known[call_id] = (stored.version, self._of(call_id, body))
