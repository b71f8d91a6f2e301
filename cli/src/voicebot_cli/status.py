"""`ringover-voicebot status`: how the system is, as the gateway tells it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from voicebot_cli.errors import CliError
from voicebot_cli.system import System

TIMEOUT_S = 5.0
PATH = "/api/v1/status"


async def fetch(gateway_url: str) -> dict[str, Any]:
    """What `GET /api/v1/status` answers. Raises CliError."""
    url = gateway_url + PATH
    async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S) as client:
        try:
            response = await client.get(url)
            answer = response.json() if response.is_success else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise CliError(
                f"no status from {url}: {str(error) or type(error).__name__}; start the gateway "
                "(`make dev`, `make up`) or say where it runs with --gateway"
            ) from error
    if not isinstance(answer, dict) or "status" not in answer:
        raise CliError(f"no status from {url}: HTTP {response.status_code}; is this the webhook-gateway?")
    return answer


async def status(system: System, console: Console, *, as_json: bool) -> int:
    """Show it; the exit code: 0 for ok, 1 for anything else. Raises CliError."""
    seen = await fetch(system.gateway_url)
    if as_json:
        console.out(json.dumps(seen, ensure_ascii=False), highlight=False)
    else:
        _show(seen, system.gateway_url, console)
    return 0 if seen["status"] == "ok" else 1


def _show(seen: Mapping[str, Any], gateway_url: str, console: Console) -> None:
    colour = "green" if seen["status"] == "ok" else "red"
    console.print(f"{seen['status']}", style=f"bold {colour}", end="")
    console.print(f"  gateway {gateway_url}, up {_span(seen['gateway']['uptime_s'])}", markup=False)
    for problem in seen["problems"]:
        console.print(f"  ✗ {problem}", style="red", markup=False, soft_wrap=True)
    redis = seen["redis"]
    console.print(f"  redis      {_ms(redis['ping_ms']) if redis['reachable'] else 'away'}")
    if seen["active_calls"] is not None:
        console.print(f"  calls      {seen['active_calls']} active")
    keys = ", ".join(name for name, present in seen["providers"].items() if present) or "none: local models"
    console.print(f"  keys       {keys}")
    webhooks = seen["webhooks"]
    signed = f"signed, {webhooks['keys']} key{'s' * (webhooks['keys'] != 1)}" if webhooks["signed"] else "NOT signed"
    public = "public URL set" if webhooks["public_url_set"] else "no public URL set"
    console.print(f"  webhooks   {signed}; {public}")
    if seen["streamers"] or seen["workers"]:
        console.print(_services(seen))


def _services(seen: Mapping[str, Any]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("  service", "id", "calls", "of", "state", "providers"):
        table.add_column(column, justify="right" if column in ("calls", "of") else "left")
    for kind, load in (("streamers", "sessions"), ("workers", "calls")):
        for service in seen[kind]:
            state = "draining" if service.get("draining") else "takes calls"
            cells = [str(service.get(name, "–")) for name in ("id", load, "capacity")]
            table.add_row(f"  {kind.removesuffix('s')}", *cells, state, _providers(service))
    return table


def _providers(service: Mapping[str, Any]) -> str:
    """`stt openai, llm local, …`, and those that are kept out for their failures."""
    said = [f"{seam} {name}" for seam, name in service.get("providers", {}).items()]
    for by_provider in service.get("provider_state", {}).values():
        said += [
            f"{name} is kept out ({circuit['state']})"
            for name, circuit in by_provider.items()
            if circuit["state"] != "closed"
        ]
    return ", ".join(said)


def _ms(value: float) -> str:
    return f"answers in {value:.1f} ms"


def _span(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
