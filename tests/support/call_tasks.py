"""A call on a worker, by itself: what `CallTask` needs, with providers of the test's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx

from ai_worker.agents import load_agents
from ai_worker.call import CallTask
from ai_worker.casting import persona_of, turn_taking_of
from ai_worker.conversation.history import History
from ai_worker.metrics import Metrics
from ai_worker.providers.suite import Suite
from ai_worker.tools import ToolBox
from callbus.broker import Broker
from callbus.busclock import BusClock
from callbus.claims import Lease

AGENT = load_agents(Path(__file__).parents[2] / "agents").for_number("33184800000").for_call({})


async def _still_held() -> bool:
    return True


def call_of(
    broker: Broker,
    suite: Suite,
    http: httpx.AsyncClient,
    call_id: str = "c1",
    *,
    held: Callable[[], Awaitable[bool]] = _still_held,
) -> CallTask:
    """A call that was just claimed."""
    tools = ToolBox(AGENT, http, {}, session=call_id)
    return CallTask(
        Lease("1-0", call_id, 1, attempt=1),
        AGENT,
        persona_of(AGENT, tools, begun=datetime.now(UTC)),
        turn_taking_of(AGENT, guesses=1),
        suite,
        tools,
        broker,
        metrics=Metrics(),
        bus_clock=BusClock(),
        turn_judge=None,
        worker="w1",
        streamer="s1",
        sample_rate=8000,
        history=History(),
        past=b"0-0",
        elapsed=0.0,
        held=held,
    )
