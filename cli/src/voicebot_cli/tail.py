"""`ringover-voicebot tail CALL_ID`: a call's transcript as it grows, from its beginning to its end."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import asdict

from rich.console import Console

from callbus import keys, transcript
from voicebot_cli.calls import ENDINGS, is_over
from voicebot_cli.errors import GatewayAway, NoSuchCall
from voicebot_cli.gateway import Gateway, entry_of, gateway_of
from voicebot_cli.system import System
from voicebot_cli.transcript_view import TranscriptView

LOOK_EVERY_S = 0.25
LONGEST_WAIT_S = 15.0
AFTERWORDS_S = 0.5
"""What follows the last word at once (a playback's end, an action's) still belongs to the call."""
LAST_WORDS_S = 3.0
"""A call that is over without a last entry (no worker took it, or it died) gets no more after this long."""


async def tail(system: System, console: Console, call_id: str, *, as_json: bool) -> int:
    """Show it until the call ends; the exit code, 0. Raises CliError, BadCallId."""
    call_id = keys.clean_call_id(call_id)
    async with gateway_of(system) as gateway:
        await _require(gateway, call_id)
        view = TranscriptView(console)
        said = False
        async for entry_id, entry in follow(gateway, call_id):
            said = True
            if as_json:
                kind = transcript.encode(entry)[b"k"].decode()
                line = {"id": entry_id, "kind": kind, **asdict(entry)}
                console.out(json.dumps(line, ensure_ascii=False), highlight=False)
            else:
                view.show(entry)
        if not as_json:
            view.close()
            if not said:
                console.print(f"call {call_id} is over, and nothing was said in it: no worker took it", soft_wrap=True)
    return 0


async def follow(gateway: Gateway, call_id: str) -> AsyncIterator[tuple[str, transcript.Entry]]:
    """Every entry with its id, the first ones at once; ends with the call. An outage is waited out. Raises CliError."""
    last, finished = "", False
    quiet_since: float | None = None
    while True:
        try:
            call = await gateway.call(call_id, after=last)
        except GatewayAway:
            await asyncio.sleep(LOOK_EVERY_S)
            continue
        if call is None:
            return
        for shown in call["transcript"]:
            entry = entry_of(shown)
            last, quiet_since = shown["id"], None
            # A call that comes back after its last word is claimed anew.
            finished = isinstance(entry, transcript.Finished)
            yield last, entry
        if not call["transcript"] and (finished or is_over(call)):
            quiet_since = quiet_since or time.monotonic()
            # Whoever comes long after the end need not wait.
            ended_at = max((call[name] for name in ENDINGS if name in call), default=time.time())
            quiet_for = max(time.monotonic() - quiet_since, time.time() - ended_at)
            if quiet_for >= (AFTERWORDS_S if finished else LAST_WORDS_S):
                return
        else:
            quiet_since = None
        await asyncio.sleep(LOOK_EVERY_S)


async def whole_transcript(gateway: Gateway, call_id: str) -> list[transcript.Entry]:
    """The entries of a call that is ending, up to its last word, or those there are after LONGEST_WAIT_S.

    Raises CliError.
    """
    entries: list[transcript.Entry] = []
    try:
        async with asyncio.timeout(LONGEST_WAIT_S):
            async for _, entry in follow(gateway, call_id):
                entries.append(entry)
    except TimeoutError:
        # A call without an end is judged by what there is of it.
        pass
    return entries


async def _require(gateway: Gateway, call_id: str) -> None:
    """Raises NoSuchCall."""
    if await gateway.call(call_id, after=_NO_MORE):
        return
    known = [call["call_id"] for call in await gateway.calls(3)]
    what = f"the newest are {', '.join(known)}" if known else "there was none within a day"
    raise NoSuchCall(f"there is no call {call_id}: {what}; `ringover-voicebot calls` lists them")


_NO_MORE = "9" * 18 + "-0"
"""Later than any entry."""
