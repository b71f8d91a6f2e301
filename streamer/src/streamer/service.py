"""One streamer, from its start to the end of its last call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog

from callbus import commands, keys, registry
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from streamer.bus import Inbox, Outbox
from streamer.care import Caretaker
from streamer.context import Context
from streamer.gate import Gate
from streamer.metrics import CONTENT_TYPE, Counters, Metrics
from streamer.pages import Page, json_page
from streamer.recording import Disk
from streamer.server import MediaServer
from streamer.settings import StreamerSettings

if TYPE_CHECKING:
    from callbus.otlp import Tracer

KIND = "streamer"
LAST_WORDS_S = 5.0

log = structlog.get_logger()


class Streamer:
    """The service: its parts, its HTTP pages, its end."""

    def __init__(self, settings: StreamerSettings, broker: Broker, tracer: Tracer | None = None) -> None:
        self.id = registry.new_service_id()
        self._broker = broker
        self._settings = settings
        self._counters = Counters()
        self._disk = Disk()
        self._metrics = Metrics(
            self._counters,
            {
                "sessions": lambda: len(self._context.sessions),
                "sessions_away": lambda: sum(session.state == "away" for session in self._context.sessions),
                "capacity": lambda: settings.streamer_max_calls,
                "draining": lambda: self._server.draining,
                "tasks": lambda: len(asyncio.all_tasks()),
                "recording_errors": lambda: self._disk.errors,
                "recording_dropped_bytes": lambda: self._disk.dropped_bytes,
            },
        )
        self._outbox = Outbox(broker, self._counters, self._metrics.bus_seconds.observe)
        self._inbox = Inbox(broker, self.id, self._counters, self._dispatch, tracer)
        self._context = Context(settings, self.id, broker, self._outbox, self._counters, self._disk)
        if tracer:
            tracer.clock = self._context.clock
        pages = {"/health": self._health, "/ready": self._ready, "/metrics": self._metrics_page}
        self._server = MediaServer(self._context, Gate(settings), pages)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then until the last call is over. Raises OSError when the port can't be opened."""
        settings = self._settings
        try:
            await self._inbox.open()
        except BusUnavailable as error:
            log.warning("Redis is away; calls are taken all the same", error=str(error))
        port = await self._server.listen()
        log.info("listening", host=settings.streamer_host, port=port, streamer=self.id)
        if settings.streamer_token is None:
            log.warning("STREAMER_TOKEN is not set: anyone who reaches the port may connect")
        if not settings.has_fallback:
            log.warning("a caller whom no worker serves hears nothing: set FALLBACK_TRANSFER_NUMBER")
        async with self._loops():
            await stop.wait()
            await self._drain()
        with suppress(BusUnavailable):
            await registry.leave(self._broker, KIND, self.id)

    async def _drain(self) -> None:
        """Let the running calls come to their end; send away what takes too long."""
        self._server.draining = True
        log.info("draining", sessions=len(self._context.sessions))
        if not await self._empty_within(self._settings.streamer_drain_timeout):
            log.warning("sending away the calls that still run", sessions=len(self._context.sessions))
            for connection in list(self._server.connections):
                connection.go_away()
            # They may come back to another streamer; those that don't are over, and that must be told.
            await self._empty_within(keys.RECONNECT_WINDOW_S + LAST_WORDS_S)
        await self._context.tasks.finish(LAST_WORDS_S)
        await self._server.aclose()
        log.info("drained")

    async def _empty_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._context.empty.wait()
        except TimeoutError:
            return False
        return True

    @asynccontextmanager
    async def _loops(self) -> AsyncIterator[None]:
        loops = [
            self._outbox.run(),
            self._inbox.run(),
            self._inbox.keep_alive(),
            Caretaker(self._context).run(),
            self._server.sweep(),
            self._context.clock.run(self._broker),
            registry.keep_beating(self._broker, KIND, self.id, self._info),
        ]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(loop) for loop in loops]
                yield
                for task in tasks:
                    task.cancel()
        finally:
            await asyncio.to_thread(self._disk.close)

    async def _dispatch(self, command: commands.Command, number: int) -> None:
        session = self._context.by_call.get(command.call_id)
        if session is None:
            self._counters.commands_without_session += 1
            return
        try:
            await session.execute(command, number)
        except Exception:
            # One call's command must not end all calls.
            self._counters.commands_failed += 1
            log.exception("a command failed", call_id=command.call_id, command=type(command).__name__)

    def _info(self) -> dict[str, Any]:
        return {
            "sessions": len(self._context.sessions),
            "capacity": self._settings.streamer_max_calls,
            "draining": self._server.draining,
            "ready": not self._server.draining,
            "fallback": self._settings.has_fallback,
        }

    def _health(self) -> Page:
        return json_page(200, {"status": "ok", **self._info()})

    def _ready(self) -> Page:
        redis = self._inbox.available and self._outbox.available
        ready = redis and not self._server.draining
        return json_page(200 if ready else 503, {"ready": ready, "redis": redis, "draining": self._server.draining})

    def _metrics_page(self) -> Page:
        return Page(200, CONTENT_TYPE, self._metrics.page())
