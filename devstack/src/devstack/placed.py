"""One simulated call, placed by `ringover-sim` as a process of its own and shown live where Redis can be read."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from rich.console import Console

from callbus.broker import connect
from devstack.live import LiveView, follow
from devstack.processes import ManagedProcess
from ringover_sim.report import CallReport, Stages

LONGEST_S = 300.0
LAST_ENTRIES_S = 10.0
PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where a call is placed. URLs are http(s) and ws(s); without `redis_url` the conversation can't be shown live.

    `admin_token` ("": not known) opens the gateway's calls; `calls_dir` is where their records are (None: not here).
    """

    gateway_url: str
    streamer_url: str
    webhook_secret: str = field(repr=False)
    streamer_token: str = field(default="", repr=False)
    redis_url: str | None = None
    admin_token: str = field(default="", repr=False)
    calls_dir: Path | None = None


def new_call_id(prefix: str) -> str:
    """A call id that sorts by time and that a person can place."""
    return f"{prefix}-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


async def place_call(
    target: Target,
    arguments: Sequence[str],
    *,
    call_id: str,
    log_dir: Path,
    report: Path,
    console: Console,
    watch: Callable[[], None] = lambda: None,
) -> tuple[int, LiveView]:
    """Place a call and show it; the simulator's exit code (0: all went as its script expects) and what was seen.

    `watch` is called all the while, and may raise. The simulator's output goes to `log_dir`/simulator.log; its report
    and what the caller heard into the folder `report`. Where the conversation can be read, the report has its stages.
    """
    simulator = ManagedProcess(
        "ringover-sim",
        [
            str(Path(sys.executable).with_name("ringover-sim")),
            *("call", "--gateway", target.gateway_url, "--streamer", target.streamer_url, "--call-id", call_id),
            *("--out", str(report)),
            *arguments,
        ],
        # By the environment and not by an option: a command line is visible to every user of the machine.
        env={
            **os.environ,
            "RINGOVER_WEBHOOK_SECRET": target.webhook_secret,
            "STREAMER_TOKEN": target.streamer_token,
            "PYTHONUNBUFFERED": "1",
        },
        cwd=Path.cwd(),
        log=log_dir / "simulator.log",
        on_line=None if target.redis_url else lambda _, line: console.print(line, markup=False, highlight=False),
    )
    view = LiveView(console)
    simulator.start()
    try:
        if target.redis_url is None:
            await _until_ended(simulator, watch)
        else:
            async with connect(target.redis_url) as broker:
                following = asyncio.create_task(follow(broker, call_id, view))
                waiting = asyncio.create_task(_say_what_is_waited_for(view, console))
                try:
                    await _until_ended(simulator, watch)
                    if view.began.is_set():
                        await asyncio.wait([following], timeout=LAST_ENTRIES_S)
                finally:
                    for task in (following, waiting):
                        task.cancel()
                        with suppress(asyncio.CancelledError):
                            await task
    finally:
        await simulator.stop(grace=2.0)
    _complete(report, view)
    code = simulator.exit_code
    return (1 if code is None else code), view


def _complete(folder: Path, view: LiveView) -> None:
    """Add what the system told of its answers to the simulator's report, if there is one."""
    try:
        report = CallReport.load(folder)
    except (OSError, ValueError):
        return  # the simulator says itself why it wrote none
    report.complete(
        [
            Stages(
                speech_ended_at=view.said_until[timed.turn],
                stages=timed.stages,
                hops=timed.hops,
                voice_to_voice_ms=timed.voice_to_voice_ms,
            )
            for timed in view.timings
            if timed.turn in view.said_until
        ]
    )
    report.save_figures(folder)


async def _until_ended(simulator: ManagedProcess, watch: Callable[[], None]) -> None:
    deadline = time.monotonic() + LONGEST_S
    while not await simulator.wait(timeout=0.2):
        watch()
        if time.monotonic() >= deadline:
            return


async def _say_what_is_waited_for(view: LiveView, console: Console) -> None:
    began = time.monotonic()
    while True:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await view.began.wait()
            return
        except TimeoutError:
            console.print(
                f"  the caller's lines are prepared, then the telephone rings ({time.monotonic() - began:.0f} s)",
                style="dim",
            )
