"""Starts a system of its own, places the scripted calls one after another, and reports on each."""

from __future__ import annotations

import asyncio
import tempfile
import time
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from callbus.settings import load
from devstack.dev import configured
from devstack.placed import new_call_id
from devstack.stack import LocalStack
from ringover_sim.caller import place_call
from ringover_sim.speech import LocalVoice, Voice
from voicebot_cli.bots.book import AgentBook, KnownAgent, load_book, transfer_number
from voicebot_cli.bots.judge import CallResult, judge
from voicebot_cli.bots.perform import Performance, as_script
from voicebot_cli.bots.report import show, summary
from voicebot_cli.bots.spec_yaml import Scripted, find_files, read_all
from voicebot_cli.check.agents import check_agents
from voicebot_cli.errors import BotTestError, CliError
from voicebot_cli.gateway import opened
from voicebot_cli.settings import CliSettings
from voicebot_cli.system import NAME
from voicebot_cli.tail import whole_transcript

RECORD_TIMEOUT_S = 20.0
PROVIDER_SETTINGS = ("OPENAI_", "ELEVENLABS_", "STT_", "LLM_", "TTS_", "LOCAL_LLM_", "TURN_DETECTOR", "SMART_TURN_")
"""Beginnings of the settings that `--configured` hands on. No others: a test delivers nothing to the customer's systems
and is no call that Ringover knows of."""


async def run_tests(arguments: Namespace, console: Console) -> int:
    """Run them; the exit code: 0 when every call went as expected, else 1. Raises CliError, StackError."""
    agents: Path = arguments.agents or load(CliSettings, NAME).agents_dir
    tests = read_all(find_files(arguments.what or [agents / "tests"]))
    await _require_right(agents)
    book = load_book(agents)
    callees = [_callee(book, test) for test in tests]
    env = environment_for(agents, arguments.configured, arguments.env)
    with ExitStack() as stack:
        keep: Path | None = arguments.keep
        directory = keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="test-agents-")))
        console.print("Starting the system for the calls", style="dim")
        voices: dict[object, Voice] = {}
        results: list[CallResult] = []
        async with LocalStack(directory, env=env) as system:
            for test, (called, agent) in zip(tests, callees, strict=True):
                spoken = test.call.voice
                voice = voices.setdefault(spoken, LocalVoice(spoken.pitch, spoken.speed, spoken.seed))
                result = await _place(system, test, called, agent, voice, keep)
                system.check()
                results.append(result)
                show(result, console)
    summary(results, console)
    if keep is not None:
        console.print(f"Logs, records and recordings: {keep}", style="dim", soft_wrap=True)
    elif not all(result.ok for result in results):
        console.print("--keep DIR keeps the logs, the records and what was heard", style="dim")
    return 0 if all(result.ok for result in results) else 1


async def _place(
    system: LocalStack, test: Scripted, called: str, agent: KnownAgent, voice: Voice, keep: Path | None
) -> CallResult:
    call_id = new_call_id("test")
    performance = Performance(test.call, test.path.parent)
    report = await place_call(
        as_script(test.call, called, call_id),
        gateway_url=system.gateway_url,
        streamer_url=system.streamer_url,
        secret=system.webhook_secret,
        token=system.streamer_token or None,
        voice=voice,
        base=test.path.parent,
        behaviour=performance,
    )
    async with opened(system.gateway_url, system.admin_token) as gateway:
        entries = await whole_transcript(gateway, call_id)
    if keep is not None:
        report.save(keep / "calls" / call_id / "simulator")
        await _until_written(system, keep / "calls" / call_id / "call.json")
    return judge(test, agent, performance, report, entries)


async def _until_written(system: LocalStack, record: Path) -> None:
    deadline = time.monotonic() + RECORD_TIMEOUT_S
    while not await asyncio.to_thread(record.exists) and time.monotonic() < deadline:
        system.check()
        await asyncio.sleep(0.1)


def _callee(book: AgentBook, test: Scripted) -> tuple[str, KnownAgent]:
    """Raises BotTestError, also for a transfer that the agent can't do."""
    called, agent = book.callee(test)
    for index, turn in enumerate(test.call.turns):
        if turn.expect.transfers_to is not None:
            transfer_number(test, agent, index, turn.expect.transfers_to)
    return called, agent


async def _require_right(agents: Path) -> None:
    """Raises CliError: with agents that are wrong, the worker would not even start."""
    verdict = await check_agents(agents)
    if verdict.mark == "✗":
        raise BotTestError(*verdict.found.splitlines())
    if verdict.mark == "–":
        raise CliError(f"{verdict.found}; the tests start the services of this installation")


def environment_for(agents: Path, providers: bool, names: list[str]) -> dict[str, str]:
    """What the services get beside their addresses. Raises CliError for a variable that is not set."""
    settings = configured()
    chosen = {name: value for name, value in settings.items() if providers and name.startswith(PROVIDER_SETTINGS)}
    for name in names:
        if (value := settings.get(name)) is None:
            raise CliError(f"--env {name}: not set in the environment or in .env")
        chosen[name] = value
    return {**chosen, "AGENTS_DIR": str(agents.resolve())}
