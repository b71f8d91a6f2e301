"""`ringover-voicebot calls`: who is on the line, and who was."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime

from rich.console import Console
from rich.table import Table

from callbus import calls, keys
from callbus.broker import Broker, connect
from voicebot_cli.system import System


async def recent_calls(broker: Broker, limit: int) -> list[dict[str, str]]:
    """The calls' hashes with their `call_id`, the newest first. Raises BusUnavailable."""
    ids = await calls.recent(broker, limit=limit)
    hashes = await broker.pipeline([("HGETALL", keys.call(call_id)) for call_id in ids]) if ids else []
    # The list outlives the calls in it.
    return [
        {"call_id": call_id, **{name.decode(): value.decode(errors="replace") for name, value in found.items()}}
        for call_id, found in zip(ids, hashes, strict=True)
        if found
    ]


def is_over(call: Mapping[str, str]) -> bool:
    """Whether nobody is on the line any more, as far as webhooks, media and conversation tell."""
    over = call.get("conversation") == "finished" or call.get("media") == "ended" or call.get("state") == "ended"
    return over or ("state" not in call and call.get("media") != "connected")


async def list_calls(system: System, console: Console, *, limit: int, as_json: bool) -> int:
    """Show them, the active ones first; the exit code, 0. Raises BusUnavailable."""
    async with connect(system.redis_url) as broker:
        found = await recent_calls(broker, limit)
    if as_json:
        for call in found:
            console.out(json.dumps({**call, "active": not is_over(call)}, ensure_ascii=False), highlight=False)
        return 0
    active = [call for call in found if not is_over(call)]
    console.print(f"{len(active)} active", style="bold green" if active else "bold")
    if active:
        console.print(_table(active))
    past = [call for call in found if is_over(call)]
    if past:
        console.print("recent", style="bold")
        console.print(_table(past))
    return 0


def _table(found: list[dict[str, str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True)
    for column in ("  call", "from", "to", "agent", "began", "lasted", "state"):
        table.add_column(column, overflow="fold", justify="right" if column == "lasted" else "left")
    for call in found:
        began = _number(call, "media_at", "answered_at", "first_seen")
        over = _number(call, "media_ended_at", "finished_at", "ended_at") if is_over(call) else time.time()
        lasted = f"{over - began:.0f} s" if began is not None and over is not None else "–"
        clock = f"{datetime.fromtimestamp(began):%m-%d %H:%M:%S}" if began is not None else "–"
        who = [call.get(name) or "–" for name in ("from_number", "to_number", "agent")]
        table.add_row(f"  {call['call_id']}", *who, clock, lasted, _state(call))
    return table


def _state(call: Mapping[str, str]) -> str:
    if is_over(call):
        return call.get("outcome") or call.get("end_reason") or "over"
    if call.get("media") == "dropped":
        return "connection dropped"
    return call.get("state") or "connected"


def _number(call: Mapping[str, str], *names: str) -> float | None:
    for name in names:
        try:
            return float(call[name])
        except (KeyError, ValueError):
            continue
    return None
