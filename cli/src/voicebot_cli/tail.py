"""`ringover-voicebot tail CALL_ID`: a call's transcript as it grows, from its beginning to its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict

from rich.console import Console

from callbus import calls, keys, transcript
from callbus.broker import Broker, connect
from callbus.errors import BadMessage, BusUnavailable
from voicebot_cli.calls import is_over, recent_calls
from voicebot_cli.errors import NoSuchCall
from voicebot_cli.system import System
from voicebot_cli.transcript_view import TranscriptView

BLOCK_MS = 500
LONGEST_WAIT_S = 15.0
LAST_WORDS_S = 3.0
"""A call that is over without a last entry (no worker took it, or it died) gets no more after this long."""


async def tail(system: System, console: Console, call_id: str, *, as_json: bool) -> int:
    """Show it until the call ends; the exit code, 0. Raises NoSuchCall, BusUnavailable, BadCallId."""
    call_id = keys.clean_call_id(call_id)
    async with connect(system.redis_url) as broker:
        await _require(broker, call_id)
        view = TranscriptView(console)
        async for entry_id, entry in follow(broker, call_id):
            if as_json:
                kind = transcript.encode(entry)[b"k"].decode()
                line = {"id": entry_id.decode(), "kind": kind, **asdict(entry)}
                console.out(json.dumps(line, ensure_ascii=False), highlight=False)
            else:
                view.show(entry)
        if not as_json:
            view.close()
    return 0


async def follow(broker: Broker, call_id: str) -> AsyncIterator[tuple[bytes, transcript.Entry]]:
    """Every entry with its id, the first ones at once; ends with the call. An outage of Redis is waited out."""
    stream, last = keys.transcript(call_id), b"0-0"
    finished = False
    quiet_since: float | None = None
    while True:
        try:
            # What follows the last word at once (a playback's end, an action's) still belongs to the call.
            found = (await broker.read({stream: last}, block_ms=BLOCK_MS)).get(stream, [])
            over = not found and (finished or is_over(await calls.get(broker, call_id)))
        except BusUnavailable:
            await asyncio.sleep(BLOCK_MS / 1000)
            continue
        for entry_id, fields in found:
            last, quiet_since = entry_id, None
            try:
                entry = transcript.decode(fields)
            except BadMessage as error:
                entry = transcript.Noted(float(entry_id.split(b"-")[0]) / 1000, str(error))
            # A call that comes back after its last word is claimed anew.
            finished = isinstance(entry, transcript.Finished)
            yield entry_id, entry
        if over and quiet_since is None:
            quiet_since = time.monotonic()
        elif not over:
            quiet_since = None
        if over and quiet_since is not None and (finished or time.monotonic() - quiet_since >= LAST_WORDS_S):
            return


async def whole_transcript(redis_url: str, call_id: str) -> list[transcript.Entry]:
    """The entries of a call that is ending, up to its last word, or those there are after LONGEST_WAIT_S."""
    entries: list[transcript.Entry] = []
    async with connect(redis_url) as broker:
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                async for _, entry in follow(broker, call_id):
                    entries.append(entry)
        except TimeoutError:
            # A call without an end is judged by what there is of it.
            pass
    return entries


async def _require(broker: Broker, call_id: str) -> None:
    """Raises NoSuchCall."""
    if await calls.get(broker, call_id) or await broker.last_id(keys.transcript(call_id)) != b"0-0":
        return
    known = [call["call_id"] for call in await recent_calls(broker, 3)]
    what = f"the newest are {', '.join(known)}" if known else "there was none within a day"
    raise NoSuchCall(f"Redis knows no call {call_id}: {what}; `ringover-voicebot calls` lists them")
