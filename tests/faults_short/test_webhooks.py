"""A small storm of webhooks with the gateway killed in the middle: nothing lost, nothing twice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from faults import webhooks

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
async def test_each_event_once_whatever_ends_the_gateway(tmp_path: Path, end: signal.Signals) -> None:
    plan = webhooks.Plan(events=160, within_s=0.6, ends=(end,))
    result = await webhooks.run(plan, work=tmp_path)
    assert result.passed, "\n".join(result.lines())
    found = result.details[end.name]
    # Otherwise nothing was proven: the gateway was away while events were to be delivered.
    assert found["broken"] > 0
