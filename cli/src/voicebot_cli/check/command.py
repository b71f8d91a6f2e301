"""Runs every check at once, and shows what each found, in one order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from rich.console import Console

from voicebot_cli.check.agents import check_agents
from voicebot_cli.check.bus import check_bus
from voicebot_cli.check.doors import (
    check_admin_token,
    check_gateway,
    check_public_url,
    check_secret,
    check_streamer,
    check_webhook,
)
from voicebot_cli.check.providers import check_provider, questions
from voicebot_cli.check.verdict import Verdict
from voicebot_cli.system import System


async def check(system: System, console: Console) -> int:
    """Show each verdict; the exit code: 1 when something is wrong, else 0."""

    async def alone(verdict: Awaitable[Verdict]) -> list[Verdict]:
        return [await verdict]

    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(looked)
            for looked in (
                check_bus(system),
                alone(check_gateway(system)),
                alone(check_admin_token(system)),
                alone(check_streamer(system)),
                alone(check_secret(system)),
                alone(check_webhook(system)),
                alone(check_public_url(system)),
                alone(check_agents(system.settings.agents_dir)),
                *(alone(check_provider(question)) for question in questions(system.settings)),
            )
        ]
    verdicts = [verdict for task in tasks for verdict in task.result()]
    for verdict in verdicts:
        console.print(verdict.line(), soft_wrap=True)
    bad = sum(verdict.mark == "✗" for verdict in verdicts)
    last = f"{bad} to put right" if bad else "Everything that was looked at is as it should be."
    console.print(last, style="bold red" if bad else "bold green")
    return 1 if bad else 0
