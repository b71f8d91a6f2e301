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
from streamer.endings import Ending, settled
from streamer.feed import Feed
from streamer.inbound import CallEnd, Event, Unreadable
from streamer.recording import Recorder
from streamer.refusals import CALL_IS_OVER
from streamer.signalling import Signalling
from streamer.speech import Speech

ORDERLY_CLOSE = (1000, 1001, 1005)
"""Close codes by which a media server says that the call is over. Any other end is a drop: it may come back."""
SETTLE_S = 10.0
"""What a session has begun with its call comes to its end by itself in this time, unless Redis is away."""
STAY_OUT_S = 1.0
"""Who comes back to a call that is over is sent away after so long: some come back at once after every close."""

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
            context.broker,
            call_id=call_id,
            send_text=connection.send_text,
            spawn=self._spawn,
            wanted=lambda: self.state != "over",
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
        self._drop_task: asyncio.Task[None] | None = None
        self._succeeds = False
        """It took its call over from another session of this streamer, which Redis may still know as the call's."""

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
            self._drop(self.call_id, code)

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
        if self.state in ("live", "away") and self.feed.is_open and not self.feed.muted:
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
            self._succeeds = True
            self.bot.succeed(old.bot)
            old.supersede(tell=True)
            await context.outbox.flushed()
        await self._signalling.note(call_id)
        await self._enter(call_id)

    async def _enter(self, call_id: str) -> None:
        context = self._context
        entered = await joining.enter(
            context.broker,
            call_id,
            streamer=context.streamer_id,
            session=self.id,
            sample_rate=self._rate,
            wanted=lambda: self.state != "over" or self._succeeds,
        )
        if entered is None:
            return
        if entered.outcome not in ("new", "resumed"):
            await self._stay_out(call_id, entered)
            return
        context.over.discard(call_id)
        self.feed.open(call_id)
        # What could not be written before the call was there (again) is no news.
        self.feed.lost = False
        if self.state == "over":
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

    async def _stay_out(self, call_id: str, entered: joining.Entered) -> None:
        """There is no conversation to join. After one that failed, the caller still waits for somebody."""
        self.conversation_finished()
        if entered.outcome == "failed" and self.state == "joining":
            self.bot.fall_back(call_id, "the conversation failed")
            if self.bot.falling_back:
                self.state = "live"
                return
        if entered.outcome == "over for good":
            self._context.over.add(call_id, self._loop.time())
        self._context.refusals.note(1000, CALL_IS_OVER)
        self._leave()
        self._loop.call_later(STAY_OUT_S, self._connection.close, 1000)
        if self._succeeds and entered.held_by:
            # The session that this one has sent away has not told its end.
            await self._context.endings.tell(Ending(call_id, entered.held_by, "over"), self.feed)

    def enter_again(self) -> None:
        """Redis doesn't know this call any more: it lost its data. Begin anew."""
        if self.call_id is not None and self.state == "live" and self._join_task.done() and not self.feed.muted:
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

    def _drop(self, call_id: str, code: int) -> None:
        self.state = "away"
        self._stop()
        self.bot.away = True
        self._context.counters.sessions_dropped += 1
        self._log.info("media dropped; it may come back", code=code)
        self._away_timer = self._loop.call_later(keys.RECONNECT_WINDOW_S, self.end, "lost")
        self._drop_task = self._spawn(self._note_drop(call_id))

    async def _note_drop(self, call_id: str) -> None:
        async def note() -> bool:
            return self.state == "away" and await sessions.away(self._context.broker, call_id, session=self.id)

        await asyncio.wait([self._join_task])
        if await until_available(note):
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
        # Only a session that is its call's in Redis can end it.
        await settled(self._join_task, self._drop_task, within_s=None if self._succeeds else SETTLE_S)
        if self.call_id is not None:
            await self._context.endings.tell(Ending(self.call_id, self.id, reason), self.feed)

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
