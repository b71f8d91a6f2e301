"""One media session: a media server's connection on one side, its call on the bus on the other."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Coroutine
from functools import partial
from typing import Any, Literal, Protocol

import structlog

from callbus import commands as bus
from callbus import keys, media, sessions
from callbus.broker import until_available
from streamer import joining
from streamer.bot import Bot
from streamer.caller import Caller
from streamer.context import Context
from streamer.feed import Feed
from streamer.inbound import CallEnd, Event, Unreadable
from streamer.recording import Recorder
from streamer.signalling import Signalling
from streamer.speech import Speech

ORDERLY_CLOSE = (1000, 1001, 1005)
"""Close codes by which a media server says that the call is over. Any other end is a drop: it may come back."""
FINISH_TIMEOUT_S = 60.0

State = Literal["joining", "live", "away", "over"]


class Connection(Protocol):
    """The media server's WebSocket. All are without effect once it is closed."""

    def send_text(self, text: str) -> None: ...

    def close(self, code: int) -> None: ...


class MediaSession:
    """From the handshake to the end of the call's media, or to another session that takes the call over.

    `call_id` may come with the handshake; else it is looked for in what the media server tells.
    """

    def __init__(
        self, context: Context, connection: Connection, *, call_id: str | None, sample_rate: int, channels: int
    ) -> None:
        self.id = secrets.token_hex(8)
        self.state: State = "joining"
        self.feed = Feed()
        self._context = context
        self._connection = connection
        self._rate = sample_rate
        self._loop = asyncio.get_running_loop()
        # One offset for the whole session: its times must not jump when the wall clock is set.
        self._epoch_offset = time.time() - self._loop.time()
        self._signalling = Signalling(
            context.broker, call_id=call_id, send_text=connection.send_text, spawn=self._spawn
        )
        self._away_timer: asyncio.TimerHandle | None = None
        started = self.now()
        self._recorder = Recorder(
            context.disk,
            context.settings.calls_dir,
            session=self.id,
            streamer=context.streamer_id,
            sample_rate=sample_rate,
            started=started,
        )
        self.caller = Caller(
            context,
            feed=self.feed,
            recorder=self._recorder,
            sample_rate=sample_rate,
            channels=channels,
            epoch_offset=self._epoch_offset,
            tell=self._tell,
            other=self._receive_other,
        )
        speech = Speech(
            sample_rate,
            now=self.now,
            send_text=connection.send_text,
            tell=self._tell,
            recorder=self._recorder,
            counters=context.counters,
            lag=context.settings.streamer_playout_lag_ms / 1000,
            bus_ahead=self._bus_ahead,
        )
        self.bot = Bot(
            context,
            speech=speech,
            recorder=self._recorder,
            now=self.now,
            send_text=connection.send_text,
            tell=self._tell,
            hang_up=lambda: self.end("hangup"),
        )
        self.bot.expect_worker(lambda: self.call_id)
        context.arrived(self)
        context.counters.sessions_started += 1
        self._log = structlog.get_logger().bind(session=self.id, call_id=call_id)
        self._join_task = self._spawn(self._join())

    @property
    def call_id(self) -> str | None:
        """None until it is known."""
        return self._signalling.call_id

    def now(self) -> float:
        """Epoch seconds, never going back."""
        return self._loop.time() + self._epoch_offset

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._context.tasks.spawn(work, lambda: self.call_id)

    def _bus_ahead(self) -> float | None:
        ahead = self._context.clock.ahead
        return None if ahead is None else ahead - self._epoch_offset

    # The media server's side

    def on_closed(self, code: int) -> None:
        """The connection is closed, or will be, with this code (1006: it broke)."""
        if self.state not in ("joining", "live"):
            return
        self.caller.flush()
        if code in ORDERLY_CLOSE or self.call_id is None:
            self.end("closed")
        else:
            self._drop(code)

    def _receive_other(self, event: Event) -> None:
        if isinstance(event, Unreadable):
            self._context.counters.messages_unreadable += 1
            self._log.info("a message can't be read", reason=event.reason)
        self._signalling.receive(event)
        if isinstance(event, CallEnd):
            self.end("call_end")

    # The bus's side

    async def execute(self, command: bus.Command, number: int) -> None:
        """Carry out a command that the bus brought; see callbus.commands about its number."""
        if isinstance(command, bus.Detach):
            if command.session == self.id:
                self.supersede(tell=False)
        elif self.state != "over":
            await self.bot.execute(command, number)

    def conversation_finished(self) -> None:
        """Nobody reads this call's stream any more."""
        self.feed.muted = True

    def _tell(self, event: media.MediaEvent) -> None:
        self.feed.event(event)
        if self.state in ("live", "away") and not self.feed.muted:
            self._context.outbox.mark(self.feed)

    # Joining and leaving the call

    async def _join(self) -> None:
        context = self._context
        call_id = await self._signalling.identify()
        self._log = self._log.bind(call_id=call_id)
        if self.state == "over":
            return
        old = context.by_call.get(call_id)
        context.by_call[call_id] = self
        if old is not None:
            self.bot.succeed(old.bot)
            old.supersede(tell=True)
            await context.outbox.flushed()
        await self._signalling.note(call_id)
        await self._enter(call_id)

    async def _enter(self, call_id: str) -> None:
        context = self._context
        self.feed.open(call_id)
        entered = await joining.enter(
            context.broker, call_id, streamer=context.streamer_id, session=self.id, sample_rate=self._rate
        )
        if entered.outcome == "over":
            self._log.info("the conversation of this call ended moments ago")
            self._leave()
            self._connection.close(1000)
            return
        if entered.record is not None:
            self._recorder.decide(entered.record, call_id, self.now())
        resumed = entered.outcome == "resumed"
        context.counters.sessions_resumed += resumed
        if self.state == "joining":
            self.state = "live"
            self.caller.live = True
        context.outbox.mark(self.feed)
        self._log.info("media connected", resumed=resumed, sample_rate=self._rate)
        await self.bot.begin(entered.epoch)
        await self._announce("connected", resumed=resumed, sample_rate=self._rate)

    def enter_again(self) -> None:
        """Redis doesn't know this call any more: it lost its data. Begin anew."""
        if self.call_id is not None and self._join_task.done() and not self.feed.muted:
            self._log.warning("Redis has lost this call; entering it anew")
            self.bot.forget_workers()
            self._join_task = self._spawn(self._enter(self.call_id))

    def supersede(self, *, tell: bool) -> None:
        """Another session has the call: leave it without ending it. `tell` its worker what was cut by that."""
        if self.state == "over":
            return
        was_live = self.state == "live"
        self.feed.muted = self.feed.muted or not tell
        self._leave()
        if was_live and not self.feed.muted:
            self._context.outbox.mark(self.feed)
        self._connection.close(1000)
        self._join_task.cancel()

    def _drop(self, code: int) -> None:
        self.state = "away"
        self._stop()
        self.bot.away = True
        self._context.counters.sessions_dropped += 1
        self._log.info("media dropped; it may come back", code=code)
        self._away_timer = self._loop.call_later(keys.RECONNECT_WINDOW_S, self.end, "lost")
        self._spawn(self._note_drop())

    async def _note_drop(self) -> None:
        await asyncio.wait([self._join_task])
        if self.state == "away" and self.call_id:
            away = partial(sessions.away, self._context.broker, self.call_id, session=self.id)
            if await until_available(away):
                await self._announce("dropped")

    def end(self, reason: str) -> None:
        """The call's media is over for good. `reason`: closed, call_end, hangup, over, lost or drained."""
        if self.state == "over":
            return
        if self.call_id is None:
            self._join_task.cancel()
        self._leave()
        self._connection.close(1000)
        self._spawn(self._finish(reason))

    async def _finish(self, reason: str) -> None:
        context = self._context
        try:
            async with asyncio.timeout(FINISH_TIMEOUT_S):
                await asyncio.wait([self._join_task])
                if self.call_id is None or not self.feed.is_open:
                    return
                if not self.feed.muted:
                    context.outbox.mark(self.feed)
                    await context.outbox.flushed()
                end = partial(sessions.end, context.broker, self.call_id, session=self.id, reason=reason)
                if await until_available(end):
                    context.counters.sessions_ended += 1
                    self._log.info("media ended", reason=reason)
                    await self._announce("ended", reason=reason)
        except TimeoutError:
            self._log.error("the end of this call's media could not be told: Redis is away", reason=reason)
        finally:
            context.outbox.discard(self.feed)

    def _leave(self) -> None:
        """Out of the streamer's books."""
        self.state = "over"
        self._stop()
        if self._away_timer is not None:
            self._away_timer.cancel()
        self._context.left(self)

    def _stop(self) -> None:
        """The connection is of no more use."""
        self.bot.close()
        self._recorder.close(self.now())
        self.caller.close()

    async def _announce(self, event: str, **data: object) -> None:
        if self.call_id is not None:
            data = {"session": self.id, "streamer": self._context.streamer_id, **data}
            await until_available(partial(joining.announce, self._context.broker, self.call_id, event, data))
