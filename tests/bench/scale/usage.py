"""What processes use, from Linux's /proc: CPU to the nanosecond, memory, and the whole machine's CPU."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU (s, user and system, all threads) since the process began, and resident memory (bytes)."""

    cpu_s: float
    rss: int


def usage(pid: int) -> Usage:
    """Raises BenchError when it can't be read: the process is gone, or this isn't Linux."""
    try:
        tasks = [(task / "schedstat").read_text() for task in (_PROC / str(pid) / "task").iterdir()]
        resident = (_PROC / str(pid) / "statm").read_text().split()[1]
    except OSError as error:
        raise BenchError(f"can't read what process {pid} uses ({error}): Linux' /proc is needed") from error
    nanoseconds = sum(int(task.split()[0]) for task in tasks)
    return Usage(nanoseconds / 1e9, int(resident) * os.sysconf("SC_PAGE_SIZE"))


def machine_cpu_s() -> float:
    """CPU that all processes of this machine have used, in s. Raises BenchError."""
    try:
        fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError as error:
        raise BenchError(f"can't read /proc/stat ({error}): Linux is needed") from error
    user, nice, system, _, _, irq, softirq = map(int, fields[:7])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
