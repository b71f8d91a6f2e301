"""`ringover-voicebot calls`: who is on the line, and who was."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from callbus import calls
from voicebot_cli.gateway import gateway_of
from voicebot_cli.system import System

ENDINGS = ("media_ended_at", "finished_at", "ended_at")
"""When the media, the conversation and, by Ringover's word, the call ended (epoch s)."""


def is_over(call: Mapping[str, Any]) -> bool:
    """Whether nobody is on the line any more, as far as webhooks, media and conversation tell."""
    return not calls.is_active(call)


async def list_calls(system: System, console: Console, *, limit: int, as_json: bool) -> int:
    """Show them, the active ones first; the exit code, 0. Raises CliError."""
    async with gateway_of(system) as gateway:
        found = await gateway.calls(limit)
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


def _table(found: list[dict[str, Any]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=True)
    for column in ("  call", "from", "to", "agent", "began", "lasted", "state"):
        table.add_column(column, overflow="fold", justify="right" if column == "lasted" else "left")
    for call in found:
        began = _number(call, "media_at", "answered_at", "first_seen")
        over = _number(call, *ENDINGS) if is_over(call) else time.time()
        lasted = f"{over - began:.0f} s" if began is not None and over is not None else "–"
        clock = f"{datetime.fromtimestamp(began):%m-%d %H:%M:%S}" if began is not None else "–"
        who = [str(call.get(name) or "–") for name in ("from_number", "to_number", "agent")]
        table.add_row(f"  {call['call_id']}", *who, clock, lasted, _state(call))
    return table


def _state(call: Mapping[str, Any]) -> str:
    if is_over(call):
        return str(call.get("outcome") or call.get("ended_as") or "over")
    if call.get("media") == "dropped":
        return "connection dropped"
    return str(call.get("state") or "connected")


def _number(call: Mapping[str, Any], *names: str) -> float | None:
    return next((float(call[name]) for name in names if isinstance(call.get(name), int | float)), None)
