"""A session's side towards the bot: does what the call's worker asks, fenced by epoch, and falls back without one."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import structlog

from callbus import calls, keys, media, tracing
from callbus import commands as bus
from callbus.broker import until_available
from callbus.errors import BusUnavailable
from streamer import commands
from streamer.actions import Action, Actions, wire_text
from streamer.context import Context
from streamer.fallback import Fallback
from streamer.recording import Recorder
from streamer.segments import File
from streamer.speech import Speech

log = structlog.get_logger()


class Bot:
    """What the worker of one session's call may do on the line."""

    def __init__(
        self,
        context: Context,
        *,
        speech: Speech,
        recorder: Recorder,
        now: Callable[[], float],
        send_text: Callable[[str], None],
        tell: Callable[[media.MediaEvent], None],
        hang_up: Callable[[], None],
    ) -> None:
        self.away = False
        """The connection dropped: speech is cut as soon as it comes, actions wait for the next session."""
        self.served_at = time.time()
        """When a worker was last known to serve this call (epoch s)."""
        self._context = context
        self._speech = speech
        self._recorder = recorder
        self._now = now
        self._send_text = send_text
        self._tell = tell
        self._hang_up = hang_up
        self._epoch = 0
        self._latest = (0, 0)
        """Epoch and number of the latest command that had a number."""
        self._commanded = False
        self._actions = Actions(context.broker)
        self._fallback = Fallback(context.settings, speech, send_text)
        self._unclaimed_timer: asyncio.TimerHandle | None = None

    def succeed(self, old: Bot) -> None:
        """This session carries on the call of another one."""
        self._epoch = old._epoch
        self._latest = old._latest
        self._commanded = old._commanded
        self._actions = old._actions
        self._fallback.succeed(old._fallback)

    def forget_workers(self) -> None:
        """Redis lost the call: whoever claims it now holds another conversation, whose epochs, segments and actions
        are not to be taken for those of the lost one."""
        self._epoch = 0
        self._latest = (0, 0)
        self._commanded = False
        self._actions = Actions(self._context.broker)
        self._speech.forget()

    async def begin(self, epoch: int) -> None:
        """The call's hash was read: `epoch` is the fence."""
        self._epoch = max(epoch, self._epoch)
        for action in self._actions.take_postponed():
            await self._act(action)

    def close(self) -> None:
        """The connection is gone."""
        self._speech.close()
        self._fallback.close()
        if self._unclaimed_timer is not None:
            self._unclaimed_timer.cancel()

    async def execute(self, command: bus.Command, number: int) -> None:
        """Carry out a command, unless its epoch is over or its number has come before."""
        if isinstance(command, bus.Detach):
            return
        if command.epoch < self._epoch:
            self._context.counters.commands_stale += 1
            return
        if number:
            if (command.epoch, number) <= self._latest:
                self._context.counters.commands_repeated += 1
                return
            self._latest = (command.epoch, number)
        self._epoch = command.epoch
        self._commanded = True
        self.served_at = time.time()
        match command:
            case bus.Speak(segment=segment, pcm=pcm, last=last):
                self._fallback.call_off()
                if self.away:
                    self._speech.refuse(segment, pcm, last)
                else:
                    self._speech.speak(segment, pcm, last)
            case bus.Break():
                with tracing.working("streamer.break"):
                    self._speech.break_()
            case bus.TakeOver():
                self._speech.take_over()
            case bus.Record(on=on):
                self._recorder.decide(on, command.call_id, self._now())
                await until_available(partial(calls.update, self._context.broker, command.call_id, record=on))
            case bus.Play() | bus.Digits() | bus.Transfer() | bus.Hangup():
                if self.away:
                    self._actions.postpone(command)
                else:
                    with tracing.working(f"streamer.{type(command).__name__.lower()}"):
                        await self._act(command)

    async def _act(self, action: Action) -> None:
        try:
            text = wire_text(action)
        except commands.CommandError as error:
            self._context.counters.commands_refused += 1
            log.error("an action can't be carried out", call_id=action.call_id, error=str(error))
            self._tell(media.ActionRefused(round(self._now(), 3), action.action_id, str(error)))
            return
        if not await self._actions.first_time(action):
            self._context.counters.actions_repeated += 1
        elif isinstance(action, bus.Play):
            # Told as done when its turn has come.
            self._speech.play(File(action.url, action.action_id))
            return
        elif text:
            self._send_text(text)
        self._tell(media.ActionDone(round(self._now(), 3), action.action_id))
        if isinstance(action, bus.Hangup):
            self._hang_up()

    def expect_worker(self, call_id: Callable[[], str | None]) -> None:
        """Fall back if no worker takes the call in time. `call_id` tells the id, once it is known."""
        self._unclaimed_timer = asyncio.get_running_loop().call_later(
            self._context.settings.fallback_after_s, self._check_claimed, call_id
        )

    def fall_back(self, call_id: str | None, why: str) -> None:
        """Do what is configured for a caller whom no worker serves, unless it is being done."""
        if self._fallback.begin():
            self._context.counters.fallbacks += 1
            log.error("falling back", call_id=call_id, why=why)

    @property
    def falling_back(self) -> bool:
        """The caller waits for a human, or hears why there is none."""
        return self._fallback.under_way

    def _check_claimed(self, call_id: Callable[[], str | None]) -> None:
        if not self._commanded:
            self._context.tasks.spawn(self._fall_back_unless_claimed(call_id), call_id)

    async def _fall_back_unless_claimed(self, call_id: Callable[[], str | None]) -> None:
        conversation = None
        known = call_id()
        if known is not None:
            try:
                conversation = await self._context.broker.execute("HGET", keys.call(known), "conversation")
            except BusUnavailable:
                pass  # Then no worker hears this caller either.
        if conversation in (None, b"waiting") and not self._commanded and not self.away:
            self.fall_back(known, "no worker took the call")
