"""`devstack dev`: everything in the foreground on fixed ports until Ctrl-C; and how `devstack call` finds it."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import threading
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from rich.console import Console
from rich.text import Text

from devstack.placed import Target
from devstack.ports import require_free
from devstack.stack import ROOT, LocalStack

STOP_GRACE_S = 15.0
STATE = "stack.json"
_SECRETS = "secrets.json"
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "red")


def configured() -> dict[str, str]:
    """The settings of `.env` and of the environment, which wins; empty ones count as not set."""
    values = {**dotenv_values(ROOT / ".env"), **os.environ}
    return {name: value for name, value in values.items() if value}


async def dev(console: Console, out: Path, *, workers: int | None) -> int:
    """Run everything until SIGINT or SIGTERM; its files lie in `out`/dev. Raises StackError."""
    settings = configured()
    workers = workers or int(settings.get("WORKERS", "1"))
    gateway_port = int(settings.get("GATEWAY_PORT", "8000"))
    streamer_port = int(settings.get("STREAMER_PORT", "8765"))
    require_free(gateway_port, "the webhook gateway", "GATEWAY_PORT=8001 make dev")
    require_free(streamer_port, "the streamer", "STREAMER_PORT=8766 make dev")
    directory = out / "dev"
    secret, admin_token = _own_secrets(directory / _SECRETS)
    env = {
        "RINGOVER_WEBHOOK_SECRET": settings.get("RINGOVER_WEBHOOK_SECRET", secret),
        "ADMIN_TOKEN": settings.get("ADMIN_TOKEN", admin_token),
        "LOG_FORMAT": settings.get("LOG_FORMAT", "console"),
    }
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    stack = LocalStack(
        directory,
        workers=workers,
        gateway_port=gateway_port,
        streamer_port=streamer_port,
        calls_dir=Path(settings.get("CALLS_DIR", str(out / "calls"))),
        env=env,
        sealed=False,
        durable_redis=True,
        stop_grace=STOP_GRACE_S,
        on_line=_Interleaved(console),
        on_progress=lambda line: console.print(line, style="dim", highlight=False),
    )
    starting = asyncio.create_task(stack.__aenter__())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    try:
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            return 130
        await starting
        _write_state(directory / STATE, stack, settings)
        _say_where(console, stack)
        while not stop.is_set():
            stack.check()
            await asyncio.wait([stopping], timeout=0.3)
        console.print(f"Stopping; running calls have {STOP_GRACE_S:.0f} s to end", style="bold")
        return 0
    finally:
        stopping.cancel()
        _forget_state(directory / STATE)
        await stack.__aexit__(None, None, None)


def running_dev_stack(out: Path) -> Target | None:
    """What `make dev` runs in another terminal, if it does."""
    try:
        state: dict[str, Any] = json.loads((out / "dev" / STATE).read_text())
        os.kill(state.pop("pid"), 0)
        return Target(**state | {"calls_dir": Path(state["calls_dir"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _own_secrets(file: Path) -> tuple[str, str]:
    """The webhook secret and the admin token where none is configured: random, and the same at every start."""
    try:
        kept = json.loads(file.read_text())
        return kept["webhook_secret"], kept["admin_token"]
    except (OSError, ValueError, KeyError):
        made = {"webhook_secret": secrets.token_urlsafe(24), "admin_token": secrets.token_urlsafe(24)}
        _write_private(file, made)
        return made["webhook_secret"], made["admin_token"]


def _write_state(file: Path, stack: LocalStack, settings: dict[str, str]) -> None:
    state = {
        "pid": os.getpid(),
        "gateway_url": stack.gateway_url,
        "streamer_url": stack.streamer_url,
        "webhook_secret": stack.webhook_secret.split(",")[0].strip(),
        "streamer_token": settings.get("STREAMER_TOKEN", ""),
        "redis_url": stack.redis_url,
        "admin_token": stack.admin_token,
        "calls_dir": str(stack.calls_dir),
    }
    _write_private(file, state)


def _forget_state(file: Path) -> None:
    file.unlink(missing_ok=True)


def _write_private(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_text(json.dumps(content, indent=2) + "\n")


def _say_where(console: Console, stack: LocalStack) -> None:
    console.print("Ready. Ctrl-C stops everything.", style="bold green")
    for what, where in (
        ("webhooks", f"{stack.gateway_url}/api/v1/webhooks/ringover/event"),
        ("status", f"{stack.gateway_url}/api/v1/status"),
        ("console", f"{stack.gateway_url}/console (its token: ADMIN_TOKEN, see secrets)"),
        ("media", stack.streamer_url),
        ("redis", stack.redis_url),
        ("secrets", f"{stack.directory / STATE}, and {_SECRETS} beside it"),
        ("one call", "make call, in another terminal"),
    ):
        console.print(f"  {what:<9} {where}", highlight=False, markup=False)


class _Interleaved:
    """Prints each line of each service's log behind the service's name; called from several threads."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._colours: dict[str, str] = {}

    def __call__(self, name: str, line: str) -> None:
        with self._lock:
            colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
            text = Text(f"{name:<16}", style=colour)
            text.append_text(Text.from_ansi(line))
            self._console.print(text, soft_wrap=True)
