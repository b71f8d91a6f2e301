"""The command `devstack`: demo, dev, call."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from rich.console import Console

from devstack.call import call
from devstack.demo import demo
from devstack.dev import dev
from devstack.errors import StackError
from devstack.stack import ROOT

PLAIN_WIDTH = 160
"""Columns where the output is no terminal."""


def main() -> None:
    """Run the command; ends the process with its exit code."""
    parser = argparse.ArgumentParser(prog="devstack", description="The whole system on this machine.")
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="folder for all that is written; default: out/")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="one whole call, shown live; leaves out/demo/<call_id>/")
    development = commands.add_parser("dev", help="everything in the foreground until Ctrl-C")
    development.add_argument("--workers", type=int, help="ai-workers to start; default: $WORKERS, or 1")
    calling = commands.add_parser("call", help="one simulated call; further options go to `ringover-sim call`")
    calling.add_argument("--call-id", dest="call_id", help="default: a new one")
    arguments, rest = parser.parse_known_args()
    if rest and arguments.command != "call":
        parser.error(f"unknown options: {' '.join(rest)}")
    out = arguments.out.resolve()
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, highlight=False)
    match arguments.command:
        case "demo":
            what = demo(console, out)
        case "dev":
            what = dev(console, out, workers=arguments.workers)
        case _:
            what = call(console, out, arguments.call_id, rest)
    sys.exit(_run(what, console))


def _run(what: Coroutine[Any, Any, int], console: Console) -> int:
    async def until_terminated() -> int:
        task = asyncio.current_task()
        assert task is not None
        # As Ctrl-C does: everything on the way out is stopped in order.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await what

    try:
        return asyncio.run(until_terminated())
    except StackError as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("Stopped.")
        return 130
