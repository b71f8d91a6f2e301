"""What all media sessions of one streamer share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from callbus.broker import Broker
from callbus.busclock import BusClock
from streamer.bus import Outbox
from streamer.endings import Endings
from streamer.metrics import Counters
from streamer.over import Over
from streamer.recording import Disk
from streamer.refusals import Refusals
from streamer.settings import StreamerSettings

if TYPE_CHECKING:
    from streamer.session import MediaSession

log = structlog.get_logger()


class Tasks:
    """Tasks that nobody awaits: kept alive, waited for at the end, and never failing unnoticed."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None], call_id: Callable[[], str | None]) -> asyncio.Task[None]:
        """Begin `work`; should it fail, it was about the call that `call_id` names by then."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(lambda task: self._done(task, call_id))
        return task

    async def finish(self, grace_s: float) -> None:
        """Wait for all of them, and for those that they begin; cancel those that take longer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self._running:
                    await asyncio.wait(self._running)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _done(self, task: asyncio.Task[None], call_id: Callable[[], str | None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the streamer failed", call_id=call_id(), exc_info=error)


@dataclass(slots=True)
class Context:
    """One streamer's parts, as a session needs them."""

    settings: StreamerSettings
    streamer_id: str
    broker: Broker
    outbox: Outbox
    counters: Counters
    disk: Disk
    clock: BusClock = field(default_factory=BusClock)
    tasks: Tasks = field(default_factory=Tasks)
    sessions: set[MediaSession] = field(default_factory=set)
    """All that are not over."""
    by_call: dict[str, MediaSession] = field(default_factory=dict)
    """Those whose call is known."""
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    """There is no session."""
    endings: Endings = field(init=False)
    refusals: Refusals = field(init=False)
    over: Over = field(default_factory=Over)

    def __post_init__(self) -> None:
        self.refusals = Refusals(self.counters)
        self.empty.set()
        self.endings = Endings(
            self.broker, self.outbox, self.streamer_id, self.counters, lambda work: self.tasks.spawn(work, lambda: None)
        )

    def arrived(self, session: MediaSession) -> None:
        """A session begins."""
        self.sessions.add(session)
        self.empty.clear()

    def left(self, session: MediaSession) -> None:
        """A session is over."""
        self.sessions.discard(session)
        if session.call_id is not None and self.by_call.get(session.call_id) is session:
            del self.by_call[session.call_id]
        if not self.sessions:
            self.empty.set()
