"""Cost and capacity: so many calls at a time, more and more until it breaks, on the real processes."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.goals import Result, machine
from bench.scale import rows as figures
from bench.scale.plot import line_plot
from bench.scale.rows import Row, Window
from bench.scale.system import Snapshot, System, system
from bench.world import write_agent
from devstack.stack import ROOT

LEVELS = (10, 25, 50, 100, 150, 200, 250, 300, 400, 500)
ENDS_WITHIN_S = 4.0
"""A question that was begun is asked and answered."""
PACKAGES = ("websockets", "uvloop", "redis", "hiredis", "onnxruntime", "numpy", "httpx")


@dataclass(frozen=True, slots=True)
class Plan:
    """How many calls, and how long (s) each number of them is measured; until one is too many twice, or to the end."""

    levels: tuple[int, ...] = LEVELS
    workers: int = 2
    idle_s: float = 5.0
    settle_s: float = 5.0
    """After the calls began: greetings."""
    listening_s: float = 8.0
    warm_up_s: float = 8.0
    """After the callers began to speak: each has spoken once."""
    talking_s: float = 15.0
    keep_going: bool = False
    stt: str = "openai"
    """Without a setting, production's order: OpenAI hears and thinks, ElevenLabs speaks."""


async def run(
    plan: Plan | None = None,
    *,
    seed: int = 1,
    work: Path | None = None,
    out: Path = ROOT / "out",
    sampled: Path | None = None,
) -> Result:
    """Measure. Writes `bench.json` and `scale.svg` into `out`; with `sampled`, profiles into that folder (the figures
    are then those of profiled processes). `seed` has nothing to choose here: every run sends the same."""
    plan = plan or Plan()
    before = machine()
    with tempfile.TemporaryDirectory() as temporary:
        folder = work or Path(temporary)
        agents = write_agent(folder / "agents")
        # Callers who only listen for a while are not to be asked whether they are still there.
        with (agents / "bench.yaml").open("a", encoding="utf-8") as agent:
            agent.write("limits: {silence_s: 120}\n")
        async with system(folder, _settings(plan, agents), workers=plan.workers, sampled=sampled) as running:
            begun = await running.snapshot()
            await asyncio.sleep(plan.idle_s)
            idle = await running.snapshot()
            await running.forget_samples()
            found: list[Row] = []
            for calls in plan.levels:
                row = await _level(running, plan, calls, found[-1].calls if found else 0, idle)
                if row.broken and not plan.keep_going:
                    # Once more: a neighbour's moment must not end the run.
                    row = await _level(running, plan, calls, calls, idle)
                found.append(row)
                if row.broken and not plan.keep_going:
                    break
            await running.load.order(end=True)
    return _result(plan, found, before, _idle(begun, idle), out)


def _settings(plan: Plan, agents: Path) -> dict[str, str]:
    most = str(2 * max(plan.levels))
    return {
        **{name: os.environ[name] for name in ("PATH", "LANG", "HOME", "TMPDIR") if name in os.environ},
        "STT_PROVIDERS": plan.stt,
        "LLM_PROVIDERS": "openai",
        "TTS_PROVIDERS": "elevenlabs",
        "AGENTS_DIR": str(agents),
        "LOG_FORMAT": "json",
        "STREAMER_MAX_CALLS": most,
        "WORKER_CAPACITY": most,
    }


async def _level(running: System, plan: Plan, calls: int, before: int, idle: Snapshot) -> Row:
    load = running.load
    await load.order(add=calls - before)
    await asyncio.sleep(plan.settle_s)
    listening, _, _ = await _measured(running, calls, plan.listening_s)
    await load.order(talk=True)
    await asyncio.sleep(plan.warm_up_s)
    talking, begin, end = await _measured(running, calls, plan.talking_s)
    held = await running.held()
    await load.order(talk=False)
    await asyncio.sleep(ENDS_WITHIN_S)
    row = figures.row(calls, listening, talking, begin, end, await running.hops_since(begin.epoch, calls))
    row.held, row.memory_kib = held, figures.memory(calls, idle, end)
    return row


async def _measured(running: System, calls: int, seconds: float) -> tuple[Window, Snapshot, Snapshot]:
    before = await running.snapshot()
    await asyncio.sleep(seconds)
    after = await running.snapshot()
    return figures.window(calls, before, after), before, after


def _idle(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """Cores used without a call, by process."""
    seconds = after.at - before.at
    return {name: round((used.cpu_s - before.used[name].cpu_s) / seconds, 4) for name, used in after.used.items()}


def _result(plan: Plan, found: list[Row], before: dict[str, Any], idle: dict[str, float], out: Path) -> Result:
    goals = figures.goals(found)
    best = figures.highest(found)
    resting = ", ".join(f"{name} {share:.3f}" for name, share in idle.items())
    table = [*figures.table(found), f"cores used without a call: {resting}"]
    details = {
        "highest": best.calls if best else 0,
        "plan": asdict(plan),
        "idle_cores": idle,
        "rows": [{**asdict(one), "broken": one.broken, "hop_p95_ms": one.hop_p95_ms} for one in found],
    }
    result = Result(table, goals, details)
    out.mkdir(parents=True, exist_ok=True)
    versions = {name: version(name) for name in PACKAGES}
    about = {"machine": {**before, "kernel": platform.release()}, "versions": versions}
    (out / "bench.json").write_text(json.dumps({**about, **result.figures()}, indent=2) + "\n", encoding="utf-8")
    (out / "scale.svg").write_text(_plot(found, about["machine"]), encoding="utf-8")
    return result


def _plot(found: list[Row], about: dict[str, Any]) -> str:
    lines = {
        "streamer": [one.talking.streamer_us for one in found],
        "worker, callers listen": [one.listening.worker_us for one in found],
        "worker, conversations": [one.talking.worker_us for one in found],
        "redis": [one.talking.redis_us for one in found],
    }
    title = f"CPU per 20 ms frame: {about['cores']} cores, {about['cpu']}"
    return line_plot(title, [one.calls for one in found], lines, "µs of CPU per 20 ms frame")
