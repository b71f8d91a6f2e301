"""Agents' files that change while calls are running: new calls get the new ones."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import structlog

from ai_worker.agents import AgentBook, AgentError, agent_files, load_agents
from ai_worker.settings import Seam

_State: TypeAlias = tuple[tuple[str, int, int, int], ...]

log = structlog.get_logger()


class AgentWatcher:
    """`book` is the last good state of the folder. The first one must be good: raises AgentError else.

    `providers`: see load_agents.
    """

    def __init__(self, directory: Path, *, providers: Mapping[Seam, Sequence[str]] | None = None) -> None:
        self._directory = directory
        self._providers = providers
        self._seen = _state(directory)
        self._book = load_agents(directory, providers=providers)

    @property
    def book(self) -> AgentBook:
        return self._book

    async def run(self, *, poll_s: float = 1.0) -> None:
        """Look for changes until cancelled. Broken files are reported once, and change nothing."""
        while True:
            await asyncio.sleep(poll_s)
            await asyncio.to_thread(self._look)

    def _look(self) -> None:
        # The state first: what changes while the files are read is seen the next time.
        state = _state(self._directory)
        if state == self._seen:
            return
        self._seen = state
        try:
            self._book = load_agents(self._directory, providers=self._providers)
        except AgentError as error:
            for problem in error.problems:
                log.error("agents not reloaded", problem=problem)
            return
        log.info("agents reloaded", agents=[agent.name for agent in self._book.agents])


def _state(directory: Path) -> _State:
    """What tells one state of the folder from another: names, times, sizes, and files put in place of others."""
    found = []
    for path in agent_files(directory):
        try:
            status = path.stat()
        except OSError:  # gone since it was listed: the next look doesn't find it
            continue
        found.append((path.name, status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)
