"""`devstack call`: one simulated call against what `make dev` or docker compose runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx
from rich.console import Console

from devstack.demo import SCRIPT, shown
from devstack.dev import configured, running_dev_stack
from devstack.placed import Target, new_call_id, place_call
from devstack.timings import stages_table

COMPOSE_SECRET = "only-for-this-machine"
"""The webhook secret of docker-compose.yml while none is configured: its ports are bound to 127.0.0.1."""


async def call(console: Console, out: Path, call_id: str | None, arguments: Sequence[str]) -> int:
    """Place a call with these further options of `ringover-sim call`; 0 when it went as its script expects."""
    target = running_dev_stack(out) or _compose()
    if not await _answers(target):
        console.print(
            f"Nothing is ready at {target.gateway_url}: start it with `make up`, or `make dev` in another terminal.",
            style="bold red",
        )
        return 2
    call_id = call_id or new_call_id("call")
    given = [] if {"--script", "--say", "--wav"} & {a.split("=")[0] for a in arguments} else ["--script", str(SCRIPT)]
    console.print(f"call {call_id} to {target.gateway_url} and {target.streamer_url}", style="bold", highlight=False)
    folder = out / "calls" / call_id / "simulator"
    code, view = await place_call(
        target, [*given, *arguments], call_id=call_id, log_dir=folder, report=folder, console=console
    )
    if table := stages_table(view.timings, view.questions):
        console.print(table)
    if target.redis_url:
        report = folder / "report.txt"
        console.print(
            (report if report.exists() else folder / "simulator.log").read_text(), markup=False, highlight=False
        )
    console.print(f"The simulator's report and what the caller heard: {shown(folder)}", highlight=False)
    return code


def _compose() -> Target:
    settings = configured()
    return Target(
        gateway_url=f"http://localhost:{settings.get('GATEWAY_PORT', '8000')}",
        streamer_url=f"ws://localhost:{settings.get('STREAMER_PORT', '8765')}/ws",
        webhook_secret=settings.get("RINGOVER_WEBHOOK_SECRET", COMPOSE_SECRET).split(",")[0].strip(),
        streamer_token=settings.get("STREAMER_TOKEN", ""),
    )


async def _answers(target: Target) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=3.0) as client:
        try:
            return (await client.get(f"{target.gateway_url}/ready")).is_success
        except httpx.HTTPError:
            return False
