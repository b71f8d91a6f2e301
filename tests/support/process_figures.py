"""What a process holds, as Linux tells it: memory, open files, sockets, threads; and one gauge off its metrics page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import httpx

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Held:
    """Of one process at one moment. `rss` is bytes."""

    rss: int
    fds: int
    sockets: int
    threads: int


def held(pid: int) -> Held:
    """Raises FileNotFoundError when there is no such process, or no /proc."""
    folder = Path(f"/proc/{pid}")
    links = []
    for entry in (folder / "fd").iterdir():
        try:
            links.append(os.readlink(entry))
        except FileNotFoundError:  # closed since it was listed
            continue
    rss = int((folder / "statm").read_text().split()[1]) * _PAGE
    sockets = sum(link.startswith("socket:") for link in links)
    return Held(rss, len(links), sockets, len(list((folder / "task").iterdir())))


async def gauge(client: httpx.AsyncClient, base: str, name: str) -> float:
    """One value off `base`/metrics. Raises KeyError when it is not there."""
    page = (await client.get(f"{base}/metrics")).text
    values = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
    return float(values[name])
