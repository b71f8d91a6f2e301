"""Sixty short calls: nothing that was opened for them stays open, and Redis keeps what it may."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import leaks

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]


async def test_short_calls_leave_nothing_open(tmp_path: Path) -> None:
    result = await leaks.run(leaks.Plan(calls=60, batches=2, at_once=15), work=tmp_path)
    # So few calls can't tell a leak of memory from a heap that is still growing to its size.
    judged = [goal for goal in result.goals if "memory" not in goal.what]
    assert len(judged) < len(result.goals)
    assert all(goal.passed for goal in judged), "\n".join(result.lines())
    assert result.details["greeted"] == 60
