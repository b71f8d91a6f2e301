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
from callbus.pcm import FRAME_MS
from streamer import commands, joining
from streamer.bot import Bot
from streamer.context import Context
from streamer.dtmf import Tone, ToneDetector
from streamer.feed import Feed
from streamer.inbound import Audio, CallEnd, CallStart, Dtmf, Event, InboundDecoder, Metadata, Unreadable
from streamer.presses import Presses
from streamer.recording import Recorder
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
        self.call_id = call_id
        self.state: State = "joining"
        self.feed = Feed()
        self._context = context
        self._connection = connection
        self._rate = sample_rate
        self._loop = asyncio.get_running_loop()
        # One offset for the whole session: its times must not jump when the wall clock is set.
        self._epoch_offset = time.time() - self._loop.time()
        self._decoder = InboundDecoder(sample_rate, channels)
        self._tones = ToneDetector(sample_rate)
        self._presses = Presses()
        self._told: asyncio.Future[Metadata | CallStart] = self._loop.create_future()
        self._metadata: Metadata | None = None
        self._position_ms = 0
        self._acknowledges = False
        self._muted = False
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

    def now(self) -> float:
        """Epoch seconds, never going back."""
        return self._loop.time() + self._epoch_offset

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._context.tasks.spawn(work, lambda: self.call_id)

    def _bus_ahead(self) -> float | None:
        ahead = self._context.clock.ahead
        return None if ahead is None else ahead - self._epoch_offset

    # The media server's side

    def on_binary(self, data: bytes) -> None:
        """A binary message arrived."""
        if self._decoder.is_next_chunk(data):
            self._receive_audio(data)
        else:
            self._receive(self._decoder.receive_binary(data))

    def on_text(self, text: str) -> None:
        """A text message arrived."""
        self._receive(self._decoder.receive_text(text))

    def on_closed(self, code: int) -> None:
        """The connection is closed, or will be, with this code (1006: it broke)."""
        if self.state not in ("joining", "live"):
            return
        self._receive(self._decoder.flush())
        if code in ORDERLY_CLOSE or self.call_id is None:
            self.end("closed")
        else:
            self._drop(code)

    def _receive(self, events: list[Event]) -> None:
        for event in events:
            if type(event) is Audio:
                self._receive_audio(event.pcm)
            else:
                self._receive_other(event)

    def _receive_audio(self, pcm: bytes) -> None:
        now = self._loop.time() + self._epoch_offset
        self._context.counters.frames_in += 1
        self._recorder.caller(now, pcm)
        if not self._muted:
            if (tone := self._tones.receive(pcm)) is not None:
                self._receive_tone(now, tone)
                # Nobody speaks through a tone, and a recogniser of speech makes words of it.
                pcm = bytes(len(pcm))
            if self.feed.audio(now, self._position_ms, pcm) and self.state == "live":
                self._context.outbox.mark(self.feed)
        self._position_ms += FRAME_MS

    def _receive_tone(self, now: float, tone: Tone) -> None:
        if tone.digit is None:
            self._presses.still_heard(now)
        elif self._presses.heard(tone.digit, now):
            self._tell(media.Dtmf(round(now, 3), tone.digit))

    def _receive_other(self, event: Event) -> None:
        match event:
            case Dtmf(digit):
                now = self.now()
                if self._presses.signalled(digit, now):
                    self._tell(media.Dtmf(round(now, 3), digit))
            case Metadata():
                self._metadata = event
                if not self._told.done():
                    if event.call_id or (event.from_number and event.to_number):
                        self._told.set_result(event)
                elif self.call_id is not None:
                    self._spawn(self._note_metadata(self.call_id, event))
            case CallStart(call_id):
                self._acknowledges = True
                if self.call_id is not None:
                    self._connection.send_text(commands.call_started(call_id or self.call_id))
                elif call_id and not self._told.done():
                    self._told.set_result(event)
            case CallEnd(call_id):
                if self._acknowledges:
                    self._connection.send_text(commands.call_ended(call_id or self.call_id or ""))
                self.end("call_end")
            case Unreadable(reason):
                self._context.counters.messages_unreadable += 1
                self._log.info("a message can't be read", reason=reason)
                if self._acknowledges:
                    self._connection.send_text(commands.error(reason))

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
        self._muted = True

    def _tell(self, event: media.MediaEvent) -> None:
        self.feed.event(event)
        if self.state in ("live", "away") and not self._muted:
            self._context.outbox.mark(self.feed)

    # Joining and leaving the call

    async def _join(self) -> None:
        context = self._context
        if self.call_id is None:
            call_id = await joining.identify(context.broker, self._told)
            self.call_id = call_id
            self._log = self._log.bind(call_id=call_id)
            if self._acknowledges:
                self._connection.send_text(commands.call_started(call_id))
        if not self._told.done():
            self._told.cancel()
        if self.state == "over":
            return
        old = context.by_call.get(self.call_id)
        context.by_call[self.call_id] = self
        if old is not None:
            self.bot.succeed(old.bot)
            old.supersede(tell=True)
            await context.outbox.flushed()
        if self._metadata is not None:
            await self._note_metadata(self.call_id, self._metadata)
        await self._enter(self.call_id)

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
        context.outbox.mark(self.feed)
        self._log.info("media connected", resumed=resumed, sample_rate=self._rate)
        await self.bot.begin(entered.epoch)
        await self._announce("connected", resumed=resumed, sample_rate=self._rate)

    def enter_again(self) -> None:
        """Redis doesn't know this call any more: it lost its data. Begin anew."""
        if self.call_id is not None and self._join_task.done() and not self._muted:
            self._log.warning("Redis has lost this call; entering it anew")
            self.bot.forget_workers()
            self._join_task = self._spawn(self._enter(self.call_id))

    def supersede(self, *, tell: bool) -> None:
        """Another session has the call: leave it without ending it. `tell` its worker what was cut by that."""
        if self.state == "over":
            return
        was_live = self.state == "live"
        self._muted = self._muted or not tell
        self._leave()
        if was_live and not self._muted:
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
                if not self._muted:
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
        counters, lost = self._context.counters, self._decoder.counters
        counters.rtp_concealed += lost.rtp_concealed
        counters.rtp_dropped += lost.rtp_dropped
        counters.rtp_resyncs += lost.rtp_resyncs
        lost.rtp_concealed = lost.rtp_dropped = lost.rtp_resyncs = 0

    async def _note_metadata(self, call_id: str, metadata: Metadata) -> None:
        await until_available(partial(joining.note_metadata, self._context.broker, call_id, metadata))

    async def _announce(self, event: str, **data: object) -> None:
        if self.call_id is not None:
            data = {"session": self.id, "streamer": self._context.streamer_id, **data}
            await until_available(partial(joining.announce, self._context.broker, self.call_id, event, data))
