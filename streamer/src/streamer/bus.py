"""The streamer's two ways with Redis: its calls' entries out, many in one pipeline; its commands in, in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

from callbus import commands, keys, tracing
from callbus.broker import Broker, until_available, xadd
from callbus.errors import BadMessage, BusUnavailable
from streamer.feed import Entry, Feed
from streamer.metrics import Counters

if TYPE_CHECKING:
    from callbus.otlp import Tracer

LONGEST_TICK_S = 0.02
SHORTEST_TICK_S = 0.002
TICK_PER_CALL_S = 0.0001
"""Few calls are written at once, for a frame that waits is a caller who waits; 200 and more once a frame, which costs
less: see `Outbox`."""
RETRY_S = 0.1
KEEP_ALIVE_EVERY_S = 1.0
READ_BLOCK_MS = 1000
READ_AT_ONCE = 500

log = structlog.get_logger()


class Outbox:
    """Writes what the feeds hold, in one pipeline: at once, but not sooner after the last time than it takes for enough
    calls to have something to write (2 ms up to 20 calls, 20 ms from 200 calls on).

    What could not be written is written again, before what came since: an entry can appear twice after an outage (an
    audio entry is then known by its position), but none gets lost or out of order, save audio older than 2 s.
    """

    def __init__(self, broker: Broker, counters: Counters, observe_seconds: Callable[[float], None]) -> None:
        self._broker = broker
        self._counters = counters
        self._observe_seconds = observe_seconds
        self._dirty: dict[Feed, None] = {}
        self._being_written: dict[Feed, None] = {}
        self._barriers: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._refused = ""
        self.available = True
        """Whether the last writing succeeded."""

    def mark(self, feed: Feed) -> None:
        """This feed has something to write."""
        self._dirty[feed] = None
        self._wake.set()

    def discard(self, feed: Feed) -> None:
        """Give up what this feed holds."""
        self._dirty.pop(feed, None)
        self._being_written.pop(feed, None)

    async def flushed(self) -> None:
        """Wait until all that the feeds hold now is written."""
        barrier = asyncio.get_running_loop().create_future()
        self._barriers.append(barrier)
        self._wake.set()
        await barrier

    async def run(self) -> None:
        """Write until cancelled."""
        loop = asyncio.get_running_loop()
        written, tick = loop.time(), SHORTEST_TICK_S
        while True:
            await self._wake.wait()
            await asyncio.sleep(max(0.0, written + tick - loop.time()))
            self._wake.clear()
            before, written = written, loop.time()
            # A call has a frame to write every 20 ms: so many calls there are by what has come since the last time.
            calls = len(self._dirty) * LONGEST_TICK_S / min(LONGEST_TICK_S, max(SHORTEST_TICK_S, written - before))
            tick = min(LONGEST_TICK_S, max(SHORTEST_TICK_S, TICK_PER_CALL_S * calls))
            await self._write()

    async def _write(self) -> None:
        self._being_written, self._dirty = self._dirty, {}
        barriers, self._barriers = self._barriers, []
        batch = [(feed, feed.take()) for feed in self._being_written]
        for feed in self._being_written:
            if feed.dropped_frames:
                self._counters.audio_frames_dropped += feed.dropped_frames
                feed.dropped_frames = 0
        try:
            if batch:
                await self._send(batch)
        except BusUnavailable as error:
            for feed, entries in batch:
                if feed in self._being_written:
                    feed.put_back(entries)
                    self._dirty[feed] = None
            self._barriers = [barrier for barrier in barriers if not barrier.done()] + self._barriers
            self._wake.set()
            if self.available:
                self.available = False
                self._counters.bus_outages += 1
                log.warning("Redis is away; keeping the last 2 s of every call", error=str(error))
            await asyncio.sleep(RETRY_S)
            return
        if not self.available and batch:
            self.available = True
            log.info("Redis is back")
        for barrier in barriers:
            if not barrier.done():
                barrier.set_result(None)

    async def _send(self, batch: list[tuple[Feed, list[Entry]]]) -> None:
        before = time.perf_counter()
        replies = await self._broker.burst([command for feed, entries in batch for command in feed.commands(entries)])
        self._observe_seconds(time.perf_counter() - before)
        position = 0
        refused = ""
        for feed, entries in batch:
            for reply in replies[position : position + len(entries)]:
                if reply is None:
                    feed.lost = True
                    self._counters.bus_entries_lost += 1
                elif isinstance(reply, Exception):
                    self._counters.bus_entries_lost += 1
                    refused = str(reply)
                else:
                    self._counters.bus_entries += 1
            position += len(entries)
        if refused != self._refused:
            self._refused = refused
            if refused:
                log.error("Redis refuses entries", error=refused)


class Inbox:
    """Reads the streamer's commands, in order, and hands each to `dispatch` with its number."""

    def __init__(
        self,
        broker: Broker,
        streamer_id: str,
        counters: Counters,
        dispatch: Callable[[commands.Command, int], Awaitable[None]],
        tracer: Tracer | None = None,
    ) -> None:
        self._broker = broker
        self._stream = keys.commands(streamer_id)
        self._counters = counters
        self._dispatch = dispatch
        self._tracer = tracer
        self._last = b"0-0"
        self._trimmed = b"0-0"
        self.available = False
        """Whether the stream exists and the last reading succeeded."""

    async def open(self) -> None:
        """Make sure that the stream exists: workers only add to one that does. Raises BusUnavailable."""
        await self._keep_alive()
        self.available = True

    async def run(self) -> None:
        """Read and dispatch until cancelled; an outage is waited out."""
        line = self._broker.hot_line()
        try:
            while True:
                try:
                    if not self.available:
                        await self.open()
                    read = await line.read({self._stream: self._last}, count=READ_AT_ONCE, block_ms=READ_BLOCK_MS)
                except BusUnavailable:
                    self.available = False
                    await asyncio.sleep(RETRY_S)
                    continue
                for _, entries in read:
                    for entry, flat in entries:
                        self._last = entry
                        await self._take(dict(zip(flat[::2], flat[1::2], strict=True)))
        finally:
            await line.aclose()

    async def _take(self, fields: dict[bytes, bytes]) -> None:
        if fields.get(b"k") == b"open":
            return
        try:
            command, number = commands.decode(fields), commands.number_of(fields)
        except BadMessage as error:
            self._counters.commands_unreadable += 1
            log.warning("a command can't be read", error=str(error))
            return
        self._counters.commands += 1
        if self._tracer is None:
            await self._dispatch(command, number)
            return
        with tracing.under(self._tracer.carried(fields, command.call_id)):
            await self._dispatch(command, number)

    async def keep_alive(self) -> None:
        """Once a second, until cancelled: renew the stream, trim what was read, bring it back if it is gone."""
        while True:
            await asyncio.sleep(KEEP_ALIVE_EVERY_S)
            await until_available(self._keep_alive)

    async def _keep_alive(self) -> None:
        alive, *_ = await self._broker.pipeline(
            [
                ("EXPIRE", self._stream, keys.COMMANDS_TTL_S),
                *([("XTRIM", self._stream, "MINID", self._last)] if self._last != self._trimmed else []),
            ]
        )
        self._trimmed = self._last
        if not alive:
            await self._broker.pipeline(
                [
                    xadd(self._stream, {b"k": b"open"}, maxlen=keys.COMMANDS_MAXLEN),
                    ("EXPIRE", self._stream, keys.COMMANDS_TTL_S),
                ]
            )
