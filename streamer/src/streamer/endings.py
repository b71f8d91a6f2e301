"""The ends of media sessions on their way to Redis, however long it is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from callbus import sessions
from callbus.broker import Broker, until_available
from streamer import joining
from streamer.bus import Outbox
from streamer.feed import Feed
from streamer.metrics import Counters

MOST_ENDINGS = 10_000
"""That wait to be told: half an hour without Redis, at more than five calls a second."""

LAST_WORDS_S = 60.0
"""How long the last that was heard and told waits for Redis: two seconds of audio a call."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ending:
    """A session that is over, and why: closed, call_end, hangup, over or lost."""

    call_id: str
    session: str
    reason: str


class Endings:
    """Tells one after the other, so that Redis is asked by one at a time when it is away, not by every call that ended.

    Only the end of the streamer bounds how long an end waits: a call that nobody ended would be served for ever.
    """

    def __init__(
        self,
        broker: Broker,
        outbox: Outbox,
        streamer_id: str,
        counters: Counters,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._broker = broker
        self._outbox = outbox
        self._streamer_id = streamer_id
        self._counters = counters
        self._spawn = spawn
        self._waiting: deque[Ending] = deque()
        self._telling: asyncio.Task[None] | None = None

    async def tell(self, ending: Ending, feed: Feed) -> None:
        """Write the session's last words, as soon as Redis is there, and see to it that its end is told after them.

        One that never joined its call is not announced.
        """
        if feed.is_open and not feed.muted:
            self._outbox.mark(feed)
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_WORDS_S):
                    await self._outbox.flushed()
        self._outbox.discard(feed)
        self._waiting.append(ending)
        if len(self._waiting) > MOST_ENDINGS:
            self._give_up([self._waiting.popleft()])
        if self._telling is None or self._telling.done():
            self._telling = self._spawn(self._run())

    async def _run(self) -> None:
        while self._waiting:
            ending = self._waiting.popleft()
            try:
                await self._tell(ending)
            except asyncio.CancelledError:
                self._give_up([ending, *self._waiting])
                raise
            except Exception:
                self._counters.endings_untold += 1
                log.exception("the end of this call's media could not be told", call_id=ending.call_id)

    async def _tell(self, ending: Ending) -> None:
        call_id, session, reason = ending.call_id, ending.session, ending.reason
        if await until_available(partial(sessions.end, self._broker, call_id, session=session, reason=reason)):
            self._counters.sessions_ended += 1
            log.info("media ended", session=session, call_id=call_id, reason=reason)
            data = {"session": session, "streamer": self._streamer_id, "reason": reason}
            await until_available(partial(joining.announce, self._broker, call_id, "ended", data))

    def _give_up(self, endings: list[Ending]) -> None:
        self._counters.endings_untold += len(endings)
        log.error(
            "the end of these calls' media could not be told: Redis is away",
            calls=len(endings),
            call_id=endings[0].call_id,
        )


async def settled(*begun: asyncio.Task[None] | None, within_s: float | None) -> None:
    """Wait until these are done; cancel those that take longer."""
    _, late = await asyncio.wait([task for task in begun if task is not None], timeout=within_s)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)
