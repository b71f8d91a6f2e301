"""One call on this worker: feeds the conversation and carries out what it wants done."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import time
from collections.abc import Coroutine
from typing import Any

from ai_worker.agents import Agent
from ai_worker.beep import BeepDetector
from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.history import History
from ai_worker.conversation.machine import Conversation
from ai_worker.conversation.persona import Persona, TurnTaking
from ai_worker.errands import Errands
from ai_worker.hearing import Hearing
from ai_worker.hops import Hops
from ai_worker.live_hearing import LiveHearing
from ai_worker.metrics import Metrics
from ai_worker.outbox import Outbox
from ai_worker.providers.suite import Suite
from ai_worker.tools import ToolBox
from ai_worker.turn import TurnJudge
from ai_worker.vad.silero import WINDOW_MS
from ai_worker.voice import Voice
from callbus import commands, media, transcript
from callbus.broker import Broker
from callbus.busclock import BusClock
from callbus.claims import Lease


class CallTask:
    """A claimed call. The worker hands it media events and speech probabilities; `run` returns the outcome.

    `past` is the newest entry on the call's in stream when a take-over began: what stands before it is history.
    """

    def __init__(
        self,
        lease: Lease,
        agent: Agent,
        persona: Persona,
        turn_taking: TurnTaking,
        providers: Suite,
        tools: ToolBox,
        broker: Broker,
        *,
        metrics: Metrics,
        bus_clock: BusClock,
        turn_judge: TurnJudge | None,
        worker: str,
        streamer: str,
        sample_rate: int,
        history: History,
        past: bytes,
        elapsed: float,
    ) -> None:
        self.lease = lease
        self.hearing = Hearing(sample_rate)
        self._agent = agent
        self._live = LiveHearing(
            providers.stt, self.hearing, agent.language_code, self.tell, wanted=providers.hears_live
        )
        self._errands = Errands(
            lease.call_id, self.hearing, self._live, providers.llm, tools, turn_judge, self._start, self.tell
        )
        self._metrics = metrics
        self._beeps = BeepDetector(sample_rate)
        self._hops = Hops()
        self._bus_clock = bus_clock
        self._worker = worker
        self._past: tuple[int, int] | None = _id(past)
        self._elapsed = elapsed
        self._outbox = Outbox(broker, lease.call_id)
        self._outbox.streamer = streamer
        self._conversation = Conversation(persona, turn_taking, history=history, prefix=str(lease.epoch))
        self._voice = Voice(providers.tts, agent, sample_rate, self._speak, self.tell)
        self._tasks: asyncio.TaskGroup
        self._context: contextvars.Context
        self._wake: asyncio.TimerHandle | None = None
        self._finished: asyncio.Future[act.Finish] = asyncio.get_running_loop().create_future()
        self._read_up_to = b""
        # One clock that reads like epoch seconds and never goes back, whatever happens to the machine's.
        self._clock_offset = time.time() - time.monotonic()

    async def run(self) -> act.Finish:
        """Live through the call. Ends early, by an exception, only for a fault of this program."""
        # Events come from other tasks; what they start still belongs to this call, in the logs too.
        self._context = contextvars.copy_context()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                helpers = [self._tasks.create_task(self._outbox.run()), self._tasks.create_task(self._voice.run())]
                self._begin()
                finish = await self._finished
                await self._outbox.flushed()
                for task in helpers:
                    task.cancel()
                self._errands.cancel()
        finally:
            if self._wake:
                self._wake.cancel()
            await self._live.aclose()
        return finish

    def _begin(self) -> None:
        call_id, epoch = self.lease.call_id, self.lease.epoch
        now = self._now()
        self._outbox.write(transcript.Claimed(now, self._worker, epoch, self._agent.name))
        if self.lease.takeover:
            self._outbox.send(commands.TakeOver(call_id, epoch))
        else:
            self._outbox.send(commands.Record(call_id, epoch, self._agent.recording))
        self.tell(ev.Begin(self._elapsed))

    # --- what the worker hands over

    def receive(self, entry_id: bytes, event: media.MediaEvent) -> bytes:
        """One entry of the in stream; the audio in it (s16le mono) is returned, to be judged with other calls'."""
        self._read_up_to = entry_id
        past = self._past is not None and _id(entry_id) <= self._past
        if not past:
            self._past = None
        match event:
            case media.Audio():
                self.hearing.receive(event.pcm, event.at)
                if past:
                    self._live.replayed(self.hearing.position_ms)
                self._hops.received(event.at)
                if self._conversation.wants_beeps and self._beeps.receive(event.pcm):
                    self.tell(ev.Beep())
                return event.pcm
            case media.MediaStarted():
                self._outbox.streamer = event.streamer
                if event.resumed and not past:
                    self.tell(ev.MediaReturned())
            case media.Playback():
                if event.state == "started":
                    self._hops.started(event)
                # An "idle" from before the take-over says nothing about now.
                if not (past and event.state == "idle"):
                    self.tell(ev.Played(event.state, event.segment, event.heard_ms, event.total_ms, event.at))
            case media.Dtmf():
                self.tell(ev.Pressed(event.digit))
            case media.ActionDone():
                self.tell(ev.ActionDone(event.action_id))
            case media.ActionRefused():
                self.tell(ev.ActionRefused(event.action_id, event.reason))
            case media.Operator():
                self.tell(ev.OperatorAsked(entry_id.decode(), event.wish, event.argument))
            case media.MediaEnded():
                self.tell(ev.CallEnded(event.reason))
        return b""

    def judge(self, at_ms: int, probability: float) -> None:
        """The voice-activity detector's word on the next window of the caller's audio."""
        for event in self.hearing.judge(at_ms, probability):
            if isinstance(event, ev.SpeechStopped):
                self._hops.paused(self._now())
            self.tell(event)
        self._live.advance(at_ms + WINDOW_MS)

    def tell(self, event: ev.Event) -> None:
        """Let the conversation know, and do what it wants done."""
        if self._finished.done():
            return
        for action in self._conversation.handle(event, self._now()):
            self._carry_out(action)
        self._outbox.show(self._conversation.state, muted=self._conversation.muted, now=self._now())
        self._sleep_until(self._conversation.next_wake)

    # --- what the conversation wants done

    def _carry_out(self, action: act.Action) -> None:
        call_id, epoch = self.lease.call_id, self.lease.epoch
        match action:
            case act.Write():
                entry = self._completed(action.entry)
                self._outbox.write(entry)
                self._metrics.wrote(entry)
            case act.Say():
                self._voice.say(action)
            case act.StopSpeaking():
                self._voice.stop()
                self._outbox.send(commands.Break(call_id, epoch))
            case act.Listen():
                self._live.listen(action)
            case act.StopListening():
                self._live.stop()
            case act.Transcribe():
                self._errands.transcribe(action)
            case act.Think():
                self._errands.think(action)
            case act.UseTool():
                self._errands.use(action.call)
            case act.StopThinking():
                self._errands.stop_thinking(action.reply)
            case act.Prepare():
                self._voice.prepare(action.text)
            case act.Unprepare():
                self._voice.unprepare()
            case act.Guessed():
                self._metrics.guessed(used=action.used)
            case act.Act():
                self._act(action)
            case act.Finish():
                self._finished.set_result(action)

    def _completed(self, entry: transcript.Entry) -> transcript.Entry:
        # Where a successor goes on listening, and the ways through Redis, are known here only.
        match entry:
            case transcript.CallerSaid():
                return dataclasses.replace(entry, in_id=self._read_up_to.decode())
            case transcript.TurnTimed():
                ahead = self._bus_clock.ahead
                return self._hops.timed(entry, None if ahead is None else ahead - self._clock_offset)
            case _:
                return entry

    def _act(self, action: act.Act) -> None:
        call_id, epoch = self.lease.call_id, self.lease.epoch
        match action.kind:
            case "transfer":
                self._outbox.send(commands.Transfer(call_id, epoch, action.action_id, action.argument))
            case "digits":
                self._outbox.send(commands.Digits(call_id, epoch, action.action_id, action.argument))
            case "play":
                self._outbox.send(commands.Play(call_id, epoch, action.action_id, action.argument))
            case "hangup":
                self._outbox.send(commands.Hangup(call_id, epoch, action.action_id))

    def _speak(self, segment: str, pcm: bytes, last: bool) -> None:
        self._hops.spoke(segment, self._now())
        self._outbox.send(commands.Speak(self.lease.call_id, self.lease.epoch, segment, pcm, last))

    # --- time

    def _now(self) -> float:
        return time.monotonic() + self._clock_offset

    def _sleep_until(self, moment: float | None) -> None:
        if self._wake:
            self._wake.cancel()
            self._wake = None
        if moment is not None and not self._finished.done():
            delay = max(0.0, moment - self._now())
            self._wake = asyncio.get_running_loop().call_later(delay, self.tell, ev.Tick())

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return self._tasks.create_task(work, context=self._context)


def _id(entry_id: bytes) -> tuple[int, int]:
    """A stream entry's id as it orders."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds or 0), int(sequence or 0)
