"""The fault table in short: four calls, and its rows that are done to calls, one after the other on two systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.rows import ROWS, run_short

pytestmark = [pytest.mark.faults, pytest.mark.speech, pytest.mark.timeout(180)]

CALLS = 4
OF_WORKERS = ("worker-killed", "worker-frozen")
OF_THE_REST = ("redis-away", "redis-refuses", "streamer-killed", "deploy", "streamer-drained")


# Not side by side: callers and providers are in this process, and their slowness would be taken for the system's.
@pytest.mark.parametrize("rows", [OF_WORKERS, OF_THE_REST], ids=["workers", "the rest"])
async def test_every_call_survives_every_fault(rows: tuple[str, ...], tmp_path: Path) -> None:
    verdict = await run_short(rows, CALLS, work=tmp_path)
    assert verdict.held, f"{verdict.line}\n" + "\n".join(verdict.problems)


def test_no_row_is_left_out() -> None:
    assert {*OF_WORKERS, *OF_THE_REST} == set(ROWS) - {"hand-over"}
