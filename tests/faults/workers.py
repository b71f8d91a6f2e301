"""Workers that are killed, frozen, or replaced by a deploy: every call goes on."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Sequence

from devstack.processes import ManagedProcess
from faults.call import FleetCall
from faults.fleet import Fleet
from faults.judge import Judged
from faults.line_ear import RATE
from faults.verdict import Done
from support.waiting import until

MOST_SILENT_MS = 5000
FROZEN_S = 10.0
LEAVE_S = 20.0
HAND_OVER_S = 2.0
"""What WORKER_DRAIN_TIMEOUT is for the row that does not let calls end."""


async def killed(fleet: Fleet, *, short: bool = False) -> Done:
    """SIGKILL of the worker that holds a call in its greeting, one in an answer, one in a tool, one in a transfer."""
    hit: Counter[str] = Counter()
    kills = 0

    async def kill(condition: Callable[[FleetCall], bool]) -> None:
        nonlocal kills
        holding = await _one_that(fleet, condition)
        held = await fleet.holders()
        victim = held[holding]
        assert victim is not None, f"nobody holds {holding.call_id}"
        hit.update(call.state for call, holder in held.items() if holder == victim)
        await fleet.stack.kill(victim)
        kills += 1
        await fleet.stack.remove(victim)
        await fleet.stack.start_worker()

    (newest,) = fleet.place(1)
    await kill(lambda call: call is newest and _is_greeted(call))
    await fleet.answered(1)
    if not short:
        await kill(lambda call: call.state == "answering")
        await fleet.answered(1)
    await kill(lambda call: call.state == "tool")
    await fleet.answered(1)
    transferring = [] if short else fleet.calls[::4]
    for call in transferring:
        call.last_kind = "transfer"
        call.stop.set()
    if transferring:
        await kill(_is_transferring)
    names = {call.call_id for call in transferring}

    async def transferred(judged: Sequence[Judged]) -> list[str]:
        missing = [call.call_id for call in judged if call.call_id in names and call.ended_by != "transfer"]
        return [f"not transferred: {missing}"] if missing else []

    return Done(
        f"SIGKILL of {kills} workers, one after the other",
        MOST_SILENT_MS,
        figures={
            "hit in": " ".join(f"{state}:{count}" for state, count in hit.items()),
            "transfers": len(transferring),
        },
        afterwards=transferred,
    )


async def frozen(fleet: Fleet, *, short: bool = False) -> Done:
    """SIGSTOP of a worker for 10 s, then SIGCONT."""
    held = await fleet.holders()
    ((victim, count),) = Counter(name for name in held.values() if name).most_common(1)
    stale = await fleet.streamer_metric("commands_stale_total")
    # What it is waiting for comes while it is frozen: when it wakes up, it has something to say.
    await _one_that(fleet, lambda call: held.get(call) == victim and call.state == "waiting")
    await fleet.stack.kill(victim, signal.SIGSTOP)
    seconds = FROZEN_S / 2 if short else FROZEN_S
    await asyncio.sleep(seconds)
    await fleet.stack.kill(victim, signal.SIGCONT)
    await fleet.answered(1 if short else 3)
    holders = await fleet.holders()
    stale = await fleet.streamer_metric("commands_stale_total") - stale
    fleet.stack.check()
    back = [call.call_id for call, holder in held.items() if holder == victim == holders.get(call)]
    return Done(
        f"SIGSTOP for {seconds:.0f} s of the worker with {count} calls",
        MOST_SILENT_MS,
        problems=[f"held by the worker that was frozen: {back}"] if back else [],
        figures={"commands fenced off": round(stale)},
    )


async def deployed(fleet: Fleet, *, short: bool = False) -> Done:
    """SIGTERM of every worker in turn, each after its replacement is ready; calls come in meanwhile."""
    leaving: list[ManagedProcess] = []
    for old in fleet.workers[:1] if short else fleet.workers:
        await fleet.stack.start_worker()
        await fleet.stack.kill(old, signal.SIGTERM)
        leaving.append(fleet.stack.process(old))
        fleet.place(1)
        await asyncio.sleep(0.5)
    await fleet.answered(1)

    async def left(_: Sequence[Judged]) -> list[str]:
        return [
            f"{process.name} was not gone {LEAVE_S:.0f} s after its last call, or not well: {process.exit_code}"
            for process in leaving
            if not await process.wait(LEAVE_S) or process.exit_code != 0
        ]

    did = f"SIGTERM of {len(leaving)} workers in turn, replacements started"
    return Done(did, MOST_SILENT_MS, uncut=True, afterwards=left)


async def handed_over(fleet: Fleet, *, short: bool = False) -> Done:
    """SIGTERM of a worker that may not wait for the end of its calls: others go on with them at once."""
    await fleet.stack.start_worker()
    held = await fleet.holders()
    ((old, count),) = Counter(name for name in held.values() if name).most_common(1)
    process = fleet.stack.process(old)
    await fleet.stack.kill(old, signal.SIGTERM)
    gone = await process.wait(HAND_OVER_S + 5)
    await fleet.answered(1 if short else 2)
    return Done(
        f"SIGTERM of a worker with {count} calls, which has {HAND_OVER_S:.0f} s to leave",
        MOST_SILENT_MS,
        problems=[] if gone and process.exit_code == 0 else [f"{old} did not leave: {process.exit_code}"],
    )


async def _one_that(fleet: Fleet, condition: Callable[[FleetCall], bool]) -> FleetCall:
    call: FleetCall = await until(
        lambda: next((call for call in fleet.calls if not call.over and condition(call)), None),
        timeout=60,
        every=0.02,
        what="a call in the wanted state",
    )
    return call


def _is_greeted(call: FleetCall) -> bool:
    return call.state == "greeting" and call.runner is not None and call.runner.line.ear.heard_since(0) > RATE // 5


def _is_transferring(call: FleetCall) -> bool:
    return bool(call.questions) and call.questions[-1].kind == "transfer" and call.state == "answering"
