"""`devstack demo`: one whole call on this machine, shown live; its record and its recording on disk at the end."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from rich.console import Console

from devstack.placed import PATIENCE_S, Target, new_call_id, place_call
from devstack.stack import ROOT, LocalStack
from devstack.timings import stages_table

SCRIPT = ROOT / "simulator" / "scripts" / "demo.yaml"
RECORD_TIMEOUT_S = 20.0


async def demo(console: Console, out: Path) -> int:
    """Run the demo; 0 when the call went as its script expects and its files are in `out`/demo/<call_id>.

    Raises StackError.
    """
    began = time.monotonic()
    call_id = new_call_id("demo")
    work = out / "logs" / call_id

    def progress(line: str) -> None:
        console.print(f"  {line}", style="dim")

    console.print("Starting Redis and the services (everything on this machine, no key, no network)", style="bold")
    async with LocalStack(work, calls_dir=out / "demo", on_progress=progress) as stack:
        console.print(f"A caller rings: {SCRIPT.relative_to(ROOT)}, call {call_id}", style="bold")
        target = Target(
            stack.gateway_url, stack.streamer_url, stack.webhook_secret, stack.streamer_token, stack.redis_url
        )
        folder = out / "demo" / call_id
        arguments = ["--script", str(SCRIPT), "--json"]
        code, view = await place_call(
            target,
            arguments,
            call_id=call_id,
            log_dir=work / "logs",
            report=folder / "simulator",
            console=console,
            watch=stack.check,
        )
        files = [folder / "call.wav", folder / "call.json"]
        missing = await _wait_for(files, stack, console) if view.began.is_set() else files
        jobs_log = stack.process("ai-jobs").log
    if table := stages_table(view.timings, view.questions):
        console.print(table)
    for file in files:
        if file not in missing:
            console.print(f"{_size(file):>9}  {shown(file)}", soft_wrap=True)
    if code != 0:
        console.print("The call did not go as its script expects; the simulator says:", style="bold red")
        console.print(_verdict(folder / "simulator" / "report.txt", work / "logs" / "simulator.log"), markup=False)
    if missing:
        names = " and ".join(shown(file) for file in missing)
        console.print(f"{names} was not written; see {shown(jobs_log)}", style="bold red")
    if code != 0 or missing:
        console.print(f"The services' logs: {shown(work / 'logs')}")
        return 1
    console.print(f"The call went well. {time.monotonic() - began:.0f} s in all.", style="bold green")
    return 0


async def _wait_for(files: list[Path], stack: LocalStack, console: Console) -> list[Path]:
    """The files that are still missing in the end."""
    began = said = time.monotonic()
    while missing := [file for file in files if not file.exists()]:
        stack.check()
        now = time.monotonic()
        if now - began > RECORD_TIMEOUT_S:
            break
        if now - said > PATIENCE_S:
            said = now
            console.print(f"  the call's record is being written ({now - began:.0f} s)", style="dim")
        await asyncio.sleep(0.05)
    return missing


def _verdict(report: Path, log: Path) -> str:
    for file in (report, log):
        if file.exists():
            return "\n".join(file.read_text(errors="replace").splitlines()[-20:])
    return "nothing: it wrote neither a report nor a log"


def shown(file: Path) -> str:
    """A path as a person in the repository's folder would write it."""
    return str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else str(file)


def _size(file: Path) -> str:
    return f"{file.stat().st_size / 1000:,.0f} kB"
