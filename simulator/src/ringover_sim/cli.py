"""The command `ringover-sim`: one simulated call, shown live and reported."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import get_args

from pydantic import ValidationError

from ringover_sim.caller import place_call
from ringover_sim.dialects import Dialect
from ringover_sim.errors import ScriptError, SimulatorError
from ringover_sim.report import CallReport, TimelineEntry
from ringover_sim.script import CallScript, Say, SayWav, Step, WaitForBot
from ringover_sim.script_yaml import load_script
from ringover_sim.signing import Scheme

FAILED, BROKEN = 1, 2
"""Exit codes: expectations did not hold; no call could be placed."""


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code (0 only when every expectation held)."""
    arguments = _parser().parse_args(argv)
    try:
        report = asyncio.run(_call(arguments))
    except SimulatorError as error:
        print(f"ringover-sim: {error}", file=sys.stderr)
        return BROKEN
    except KeyboardInterrupt:
        print("ringover-sim: interrupted", file=sys.stderr)
        return BROKEN
    return 0 if report.ok else FAILED


async def _call(arguments: argparse.Namespace) -> CallReport:
    script, base = _script(arguments)
    live = sys.stderr if arguments.json else sys.stdout

    def show(entry: TimelineEntry) -> None:
        print(f"{entry.at_ms / 1000:8.2f} s  {entry.who:<8}  {entry.what}", file=live, flush=True)

    report = await place_call(
        script,
        gateway_url=arguments.gateway,
        streamer_url=arguments.streamer,
        secret=arguments.secret,
        token=arguments.token,
        base=base,
        on_event=None if arguments.quiet else show,
    )
    if arguments.out is not None:
        report.save(arguments.out)
    print(json.dumps(report.model_dump(mode="json")) if arguments.json else f"\n{report.table()}")
    return report


def _script(arguments: argparse.Namespace) -> tuple[CallScript, Path]:
    """The script, and the folder its paths are relative to. Raises ScriptError."""
    if arguments.script is not None:
        script, base = load_script(arguments.script), arguments.script.parent
    elif arguments.lines:
        script, base = CallScript(steps=_conversation(arguments.lines)), Path()
    else:
        raise ScriptError("nothing to say: give --script FILE, --say TEXT or --wav FILE")
    media = script.media.model_dump() | _given(arguments, "dialect", "sample_rate")
    webhooks = script.webhooks.model_dump() | _given(arguments, "scheme")
    top = script.model_dump() | _given(arguments, "call_id")
    try:
        return CallScript.model_validate(top | {"media": media, "webhooks": webhooks}), base
    except ValidationError as error:
        raise ScriptError(f"these options don't go together: {error.errors()[0]['msg']}") from error


def _given(arguments: argparse.Namespace, *names: str) -> dict[str, object]:
    return {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}


def _conversation(lines: list[Step]) -> list[Step]:
    """The bot first, then line and answer in turn."""
    steps: list[Step] = [WaitForBot()]
    for line in lines:
        steps += [line, WaitForBot()]
    return steps


def _spoken(text: str) -> Step:
    try:
        return Say(text=text)
    except ValidationError as error:
        raise argparse.ArgumentTypeError(f"a line has at least one word, got {text!r}") from error


def _recorded(path: str) -> Step:
    return SayWav(path=path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ringover-sim", description="A stand-in Ringover: places calls in real time.")
    commands = parser.add_subparsers(dest="command", required=True)
    call = commands.add_parser("call", help="place one call", description="Place one call and report on it.")
    call.add_argument("--script", type=Path, metavar="FILE", help="a call in YAML")
    call.add_argument(
        "--say", action="append", dest="lines", type=_spoken, metavar="TEXT",
        help="a line to say after the bot has spoken (repeatable)",
    )  # fmt: skip
    call.add_argument(
        "--wav", action="append", dest="lines", type=_recorded, metavar="FILE",
        help="an audio file to say instead (repeatable)",
    )  # fmt: skip
    call.add_argument("--gateway", metavar="URL", help="http://host:port of the webhook gateway; none: no webhooks")
    call.add_argument("--streamer", metavar="URL", default="ws://localhost:8765", help="default: %(default)s")
    call.add_argument(
        "--secret",
        default=os.environ.get("RINGOVER_WEBHOOK_SECRET", "").split(",")[0].strip(),
        help="signs the webhooks; default: the first of $RINGOVER_WEBHOOK_SECRET",
    )
    call.add_argument("--token", default=os.environ.get("STREAMER_TOKEN") or None, help="default: $STREAMER_TOKEN")
    call.add_argument("--call-id", dest="call_id", help="default: the script's, or a new one")
    call.add_argument("--dialect", choices=get_args(Dialect), help="default: the script's, or pcm")
    call.add_argument("--sample-rate", dest="sample_rate", type=int, choices=(8000, 16000), help="Hz")
    call.add_argument(
        "--scheme", choices=get_args(Scheme), help="how webhooks are signed; default: the script's, or v1"
    )
    call.add_argument("--out", type=Path, metavar="DIR", help="write caller_heard.wav, report.json, report.txt here")
    call.add_argument("--json", action="store_true", help="the report as JSON on stdout, the live view on stderr")
    call.add_argument("--quiet", action="store_true", help="no live view")
    return parser


if __name__ == "__main__":
    sys.exit(main())
