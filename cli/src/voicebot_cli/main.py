"""The command `ringover-voicebot`: its subcommands and their options."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from rich.console import Console

from callbus.errors import BadCallId
from devstack.errors import StackError
from ringover_sim.errors import SimulatorError
from voicebot_cli import system as running
from voicebot_cli.bots.command import run_tests
from voicebot_cli.calls import list_calls
from voicebot_cli.check.command import check
from voicebot_cli.errors import CliError
from voicebot_cli.gateway import MOST_CALLS
from voicebot_cli.replay import replay
from voicebot_cli.sign import EXAMPLES, sign
from voicebot_cli.status import status
from voicebot_cli.tail import tail

BROKEN = 2
PLAIN_WIDTH = 160
"""Columns where the output is no terminal."""


def main() -> None:
    """Run the command; ends the process: 0 all is well, 1 something is not, 2 the command could not be carried out."""
    arguments = _parser().parse_args()
    console = Console(highlight=False) if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, highlight=False)
    try:
        code = asyncio.run(_until_terminated(_chosen(arguments, console)))
    except (CliError, BadCallId, SimulatorError, StackError) as error:
        code = _complain(str(error))
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    except BrokenPipeError:
        # The reader has seen enough (`… | head`): what is left in the buffer must not complain at the exit either.
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115
        code = 0
    sys.exit(code)


async def _until_terminated(what: Coroutine[Any, Any, int]) -> int:
    task = asyncio.current_task()
    assert task is not None
    # As Ctrl-C does: everything on the way out is stopped in order.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await what


def _complain(text: str) -> int:
    sys.stderr.writelines(f"{running.NAME}: {line}\n" for line in text.splitlines())
    return BROKEN


async def _chosen(arguments: argparse.Namespace, console: Console) -> int:
    if arguments.command == "test-agents":
        return await run_tests(arguments, console)
    system = running.locate(arguments)
    match arguments.command:
        case "status":
            return await status(system, console, as_json=arguments.json)
        case "calls":
            return await list_calls(system, console, limit=arguments.limit, as_json=arguments.json)
        case "tail":
            return await tail(system, console, arguments.call_id, as_json=arguments.json)
        case "replay":
            return await replay(system, console, arguments.call_id, calls_dir=arguments.calls_dir)
        case "check":
            return await check(system, console)
        case _:
            return sign(system, console, file=arguments.file, example=arguments.event, url=arguments.url)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=running.NAME, description="See how the voicebot is, and find out why.")
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        if name != "test-agents":
            running.add_options(made, redis=name == "check")
        return made

    shown = command("status", "how the system is; exit code 1 when something is missing")
    listed = command("calls", "the active calls and the recent ones")
    listed.add_argument(
        "--limit", type=_count, default=20, help=f"calls to list, 1 to {MOST_CALLS}; default: %(default)s"
    )
    tailed = command("tail", "one call's transcript as it grows, until the call ends")
    for one in (shown, listed, tailed):
        one.add_argument("--json", action="store_true", help="JSON; an object a line where there are several")
    again = command("replay", "run a recorded call again through today's agent, and show what differs")
    for one in (tailed, again):
        one.add_argument("call_id", metavar="CALL_ID")
    again.add_argument("--calls-dir", type=Path, metavar="DIR", help="where the records are; default: $CALLS_DIR")
    command("check", "the doctor: is everything there that a call needs? exit code 1 when not")
    signed = command("sign", "print a curl command with a signed webhook (good for five minutes)")
    signed.add_argument("file", type=Path, nargs="?", metavar="EVENT.json", help="the event; default: an example")
    signed.add_argument("--event", choices=EXAMPLES, default="ringing", help="the example; default: %(default)s")
    signed.add_argument("--url", help="where to post it; default: WEBHOOK_PUBLIC_URL, else the gateway here")
    tested = command("test-agents", "place scripted calls to the agents and check what they say and do")
    tested.add_argument(
        "what", type=Path, nargs="*", metavar="FOLDER", help="folders or files of calls; default: AGENTS/tests"
    )
    tested.add_argument(
        "--agents", type=Path, metavar="DIR", help="the agents' folder; default: $AGENTS_DIR, or agents"
    )
    tested.add_argument(
        "--configured", action="store_true",
        help="with the providers and keys of the environment and .env; default: local models, no key",
    )  # fmt: skip
    tested.add_argument(
        "--env", action="append", default=[], metavar="NAME",
        help="also hand this variable to the services: the secret of an agent's tool, say (repeatable)",
    )  # fmt: skip
    tested.add_argument("--keep", type=Path, metavar="DIR", help="keep logs, records and recordings in this folder")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= MOST_CALLS:
        raise ValueError
    return number
