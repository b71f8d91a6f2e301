"""Goals, percentiles, and the command's exit code."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from bench import __main__ as command
from bench.errors import BenchError
from bench.goals import Goal, Result, machine, percentile, spread


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert spread(values) == {"p50": 50.0, "p95": 95.0, "max": 100.0}
    assert percentile([7.0], 95) == 7.0
    with pytest.raises(BenchError):
        percentile([], 50)


def test_the_limit_itself_is_reached() -> None:
    assert Goal("x", 60.0, 60.0).passed
    missed = Goal("own overhead", 60.1, 60.0)
    assert not missed.passed
    assert missed.line.startswith("MISSED")
    assert not Result(["table"], [Goal("x", 1.0, 2.0), missed]).passed


def test_the_machine_is_named() -> None:
    assert machine()["cores"] >= 1
    assert machine()["cpu"]


@pytest.mark.parametrize(("measured", "code"), [(50.0, 0), (70.0, 1)])
def test_a_missed_goal_is_the_exit_code_and_the_figures_are_kept(
    measured: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def run(seed: int) -> Result:
        await asyncio.sleep(0)
        return Result([f"seed {seed}"], [Goal("own overhead", measured, 60.0)], {"turns": 3})

    monkeypatch.setattr(command, "BENCHES", {"overhead": run})
    monkeypatch.setattr(sys, "argv", ["bench", "overhead", "--seed", "4", "--out", str(tmp_path)])
    assert command.main() == code
    shown = capsys.readouterr().out
    assert "seed 4" in shown
    assert ("MISSED" in shown) == bool(code)
    kept = json.loads((tmp_path / "overhead.json").read_text())
    assert kept["goals"][0]["measured"] == measured
    assert (kept["passed"], kept["seed"], kept["turns"]) == (not code, 4, 3)
    assert kept["machine"]["cores"] >= 1
