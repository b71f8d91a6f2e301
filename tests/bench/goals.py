"""Goals with their figures, as a table for people and as values for a file; and the machine that they are about."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.errors import BenchError


@dataclass(frozen=True, slots=True)
class Goal:
    """One figure and the most that it may be."""

    what: str
    measured: float
    limit: float
    unit: str = "ms"

    @property
    def passed(self) -> bool:
        return self.measured <= self.limit

    @property
    def line(self) -> str:
        verdict = "PASS  " if self.passed else "MISSED"
        return f"{verdict}  {self.what}: {self.measured:.0f} {self.unit}, at most {self.limit:.0f} {self.unit}"


@dataclass(slots=True)
class Result:
    """What one bench found. `details` go to the file only."""

    table: list[str]
    goals: list[Goal]
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return all(goal.passed for goal in self.goals)

    def lines(self) -> list[str]:
        return [*self.table, *(goal.line for goal in self.goals)]

    def figures(self) -> dict[str, Any]:
        """For the file."""
        return {"goals": [asdict(goal) | {"passed": goal.passed} for goal in self.goals], **self.details}


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that at least `percent` of them do not exceed. Raises BenchError when there are none."""
    if not values:
        raise BenchError("nothing was measured: see the services' logs")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def spread(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and max, rounded to 0.1."""
    return {
        "p50": round(percentile(values, 50), 1),
        "p95": round(percentile(values, 95), 1),
        "max": round(percentile(values, 100), 1),
    }


def columns(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as text, the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [head, *rows]
    ]


def machine() -> dict[str, Any]:
    """Figures are worth nothing without it."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    load = round(os.getloadavg()[0], 2)
    return {"cores": os.cpu_count(), "cpu": model, "python": platform.python_version(), "load_before": load}
