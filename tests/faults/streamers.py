"""A streamer that is killed and comes back, and one that is told to leave."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

from devstack.stack import STREAMER
from faults.fleet import Fleet
from faults.judge import Judged
from faults.verdict import Done
from ringover_sim.errors import StreamerError

MOST_SILENT_MS = 5000
LEAVE_S = 10.0


async def killed(fleet: Fleet, *, short: bool = False) -> Done:
    """SIGKILL of the streamer, started again on its port; the media server comes back with the same call id."""
    held = await fleet.holders()
    live = {call.call_id for call in held}
    began = asyncio.get_running_loop().time()
    await fleet.stack.kill(STREAMER)
    await fleet.stack.restart(STREAMER)
    away = asyncio.get_running_loop().time() - began
    await fleet.answered(1 if short else 3)
    holders = await fleet.holders()

    async def came_back(judged: Sequence[Judged]) -> list[str]:
        return [
            f"{call.call_id}: {len(call.report.connections)} connections"
            for call in judged
            if call.call_id in live and len(call.report.connections) != 2
        ]

    return Done(
        f"SIGKILL of the streamer, ready again after {away:.1f} s",
        MOST_SILENT_MS + round(1000 * away),
        loses_words=True,
        problems=[f"{call.call_id} changed its worker" for call in held if holders.get(call, held[call]) != held[call]],
        afterwards=came_back,
    )


async def drained(fleet: Fleet, *, short: bool = False) -> Done:
    """SIGTERM of the streamer: no new call, and its end is that of the last one."""
    process = fleet.stack.process(STREAMER)
    await fleet.stack.kill(STREAMER, signal.SIGTERM)
    await fleet.answered(1)
    problems = []
    (refused,) = fleet.place(1)
    await asyncio.wait([refused.task])
    fleet.calls.remove(refused)
    if not isinstance(refused.task.exception(), StreamerError):
        problems.append("it took a new call")
    *most, last = fleet.calls
    for call in most:
        call.stop.set()
    await asyncio.wait([call.task for call in most])
    if last.over or not process.running:
        problems.append("it left before its last call had ended")

    async def left(_: Sequence[Judged]) -> list[str]:
        if await process.wait(LEAVE_S) and process.exit_code == 0:
            return []
        return [f"it was not gone {LEAVE_S:.0f} s after its last call, or not well: {process.exit_code}"]

    did = f"SIGTERM of the streamer with {len(fleet.calls)} calls on it"
    return Done(did, MOST_SILENT_MS, uncut=True, problems=problems, afterwards=left)
