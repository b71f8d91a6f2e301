"""Past calls: found, shown and heard, from CALLS_DIR and from the bucket where there is one."""

from __future__ import annotations

import asyncio
import io
import re
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response, StreamingResponse

from callbus.bucket import CONTENT_TYPES, RECORD, RECORDING, Bucket
from webhook_gateway.console.call_list import Search, parsed
from webhook_gateway.console.local_calls import LocalCalls
from webhook_gateway.console.stored_calls import RecordingFile, StoredCalls, recording, sound
from webhook_gateway.console.waveform import recorded_waveform, waveform

_WAVEFORMS_KEPT = 16
_DRAWN_AT_ONCE = 2
"""Each takes a thread, and a whole recording from the bucket."""
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class PastCalls:
    """A call's files are looked for in the folder first: from there they go to the bucket.

    What reads the bucket raises BucketUnavailable, but for `search`; all that take a call's id raise BadCallId.
    """

    def __init__(self, folder: Path, bucket: Bucket | None = None) -> None:
        self._local = LocalCalls(folder)
        self._bucket = bucket
        self._stored = StoredCalls(bucket) if bucket else None
        self._were_here: set[str] = set()
        self._waveforms: OrderedDict[Hashable, dict[str, Any] | None] = OrderedDict()
        self._drawing = asyncio.Semaphore(_DRAWN_AT_ONCE)

    async def search(self, wanted: Search) -> dict[str, Any]:
        """A page of `calls`, the `next` one's cursor, and the `problem`: why calls may be missing (None: none are).

        Raises ValueError for a cursor that is none.
        """
        # The folder first: a call on its way to the bucket is seen in one of them at least.
        here = await asyncio.to_thread(self._local.lines)
        gone, self._were_here = self._were_here - here.keys(), set(here)
        stored, problem = await self._stored.lines(news=bool(gone)) if self._stored else ({}, None)
        return {**wanted.page({**stored, **here}.values()), "problem": problem}

    async def record(self, call_id: str) -> dict[str, Any] | None:
        """A call's record as it is, with the waveform of its recording; None when there is no record."""
        read = await asyncio.to_thread(self._local.record, call_id)
        if read is None and self._bucket:
            read = parsed(await self._bucket.get(call_id, RECORD))
        if read is None:
            return None
        # Records of an earlier version don't say: their recordings are read as a whole.
        return {**read, "waveform": recorded_waveform(read) or await self._waveform(call_id)}

    async def download(self, call_id: str) -> Response | None:
        """The record as a file; None when there is none."""
        path, name = self._local.path(call_id, RECORD), f"{call_id}.json"
        if await asyncio.to_thread(path.is_file):
            return FileResponse(path, media_type=CONTENT_TYPES[RECORD], filename=name)
        body = await self._bucket.get(call_id, RECORD) if self._bucket else None
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return None if body is None else Response(body, media_type=CONTENT_TYPES[RECORD], headers=headers)

    async def audio(self, call_id: str, asked: Headers) -> Response | None:
        """The recording; None when there is none. One range of bytes is answered, several as the whole."""
        path, name = self._local.path(call_id, RECORDING), f"{call_id}.wav"
        kind = CONTENT_TYPES[RECORDING]
        if await asyncio.to_thread(path.is_file):
            return FileResponse(path, media_type=kind, filename=name, content_disposition_type="inline")
        stored = await recording(self._bucket, call_id) if self._bucket else None
        if self._bucket is None or stored is None:
            return None
        etag = f'"{stored.version}"'
        headers = {
            "Accept-Ranges": "bytes",
            "Content-Disposition": f'inline; filename="{name}"',
            "ETag": etag,
        }
        span = _span(asked.get("range", ""), stored.size) if asked.get("if-range", etag) == etag else None
        if span == (0, 0):
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{stored.size}"})
        start, end = span or (0, stored.size)
        headers["Content-Length"] = str(end - start)
        if span:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{stored.size}"
        body = sound(self._bucket, call_id, stored, start, end)
        return StreamingResponse(body, 206 if span else 200, headers, media_type=kind)

    async def _waveform(self, call_id: str) -> dict[str, Any] | None:
        wav = self._local.path(call_id, RECORDING)
        try:
            status = await asyncio.to_thread(wav.stat)
        except OSError:
            stored = await recording(self._bucket, call_id) if self._bucket else None
            if self._bucket is None or stored is None:
                return None
            file = RecordingFile(self._bucket, call_id, stored, asyncio.get_running_loop())
            return await self._drawn((call_id, stored.version), lambda: waveform(io.BufferedReader(file)))
        return await self._drawn((call_id, status.st_mtime_ns, status.st_size), lambda: waveform(wav))

    async def _drawn(self, version: Hashable, draw: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        if version not in self._waveforms:
            async with self._drawing:
                drawn = await asyncio.to_thread(draw)
            self._waveforms[version] = drawn
            while len(self._waveforms) > _WAVEFORMS_KEPT:
                self._waveforms.popitem(last=False)
            return drawn
        self._waveforms.move_to_end(version)
        return self._waveforms[version]


def _span(asked: str, size: int) -> tuple[int, int] | None:
    """A Range header's first byte and the one after its last (RFC 9110, 14.1.2).

    None for one that is to be ignored, (0, 0) for one that can't be satisfied.
    """
    found = _RANGE.fullmatch(asked.strip())
    if found is None or found.groups() == ("", ""):
        return None
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    return (start, end) if start < end else (0, 0)
