"""Runs the set over the real system: gateway, streamer and worker as processes, several calls side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import yaml

from bench.moments.caller import NUMBERS, SETTING, CallWentWrong, System, place
from bench.moments.moment import Moment
from bench.moments.mouth import PlaceMouth
from bench.moments.providers import GREETING, LONG_GREETING, Providers
from bench.moments.result import MomentsResult
from bench.moments.score import Verdict, broken, judge
from bench.moments.the_set import MOMENTS
from bench.moments.track import compose
from callbus.broker import connect
from devstack.stack import LocalStack
from ringover_sim.errors import SimulatorError

JOBS = 3


async def run(jobs: int = JOBS, moments: Sequence[Moment] = MOMENTS, keep: Path | None = None) -> MomentsResult:
    """Place the call of every moment, `jobs` at a time, and judge each. The services' logs stay in `keep`."""
    began = time.monotonic()
    with TemporaryDirectory(prefix="moments-") if keep is None else nullcontext(keep) as folder:
        providers = await asyncio.to_thread(_made_before, moments)
        async with (
            providers,
            LocalStack(Path(folder), env=providers.env | {"AGENTS_DIR": str(_agents(Path(folder)))}) as stack,
            httpx.AsyncClient(timeout=5.0, trust_env=False) as client,
            connect(stack.redis_url) as broker,
        ):
            system = System(stack, client, broker, providers.recogniser, providers.voice)
            verdicts = await _all(moments, system, jobs)
            stack.check()
    return MomentsResult(verdicts, time.monotonic() - began, providers.recogniser.unknown)


def _made_before(moments: Sequence[Moment]) -> Providers:
    """All speech and noise: made within the calls, it would make every caller late."""
    for moment in (*moments, SETTING):
        compose(moment)
        PlaceMouth(moment, seed=1)
    return Providers()


async def _all(moments: Sequence[Moment], system: System, jobs: int) -> list[Verdict]:
    verdicts: dict[int, Verdict] = {}
    waiting = list(enumerate(moments))[::-1]

    async def caller() -> None:
        while waiting:
            number, moment = waiting.pop()
            verdicts[number] = await _verdict(moment, number, system)

    async with asyncio.TaskGroup() as group:
        for _ in range(jobs):
            group.create_task(caller())
            # Calls that begin together would go on in step: everything would want the processor at once.
            await asyncio.sleep(0.7)
    return [verdicts[number] for number in range(len(moments))]


async def _verdict(moment: Moment, number: int, system: System) -> Verdict:
    try:
        return judge(moment, await place(moment, number, system))
    except (CallWentWrong, SimulatorError) as error:
        return broken(moment, str(error))


def _agents(folder: Path) -> Path:
    """Two bots: one that greets briefly, and one that can be interrupted while it greets."""
    agents = folder / "agents"
    agents.mkdir(parents=True, exist_ok=True)
    for name, number, greeting in (
        ("brief", NUMBERS["nothing"], GREETING),
        ("talkative", NUMBERS["greeting"], LONG_GREETING),
    ):
        agent = {
            "name": name,
            "numbers": [number],
            "default": name == "brief",
            "greeting": greeting,
            "instructions": "You answer the phone at a library.",
            "recording": False,
        }
        (agents / f"{name}.yaml").write_text(yaml.safe_dump(agent), encoding="utf-8")
    return agents
