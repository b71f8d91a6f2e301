"""The fault table in short: four calls, its rows that are done to calls, two systems side by side."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from faults.rows import ROWS, run_short

pytestmark = [pytest.mark.faults, pytest.mark.speech, pytest.mark.timeout(150)]

CALLS = 4
OF_WORKERS = ("worker-killed", "worker-frozen")
OF_THE_REST = ("redis-away", "streamer-killed", "deploy", "streamer-drained")


async def test_every_call_survives_every_fault(tmp_path: Path) -> None:
    assert {*OF_WORKERS, *OF_THE_REST} == set(ROWS) - {"hand-over"}
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(run_short(names, CALLS, work=tmp_path / names[0])) for names in (OF_WORKERS, OF_THE_REST)
        ]
    for verdict in (task.result() for task in tasks):
        assert verdict.held, f"{verdict.line}\n" + "\n".join(verdict.problems)
