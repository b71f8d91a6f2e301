"""One call on this worker: feeds the conversation and carries out what it wants done."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import time
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

import structlog

from ai_worker.agents import Agent
from ai_worker.beep import BeepDetector
from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.history import History
from ai_worker.conversation.machine import Conversation
from ai_worker.conversation.persona import Persona, Scripted, TurnTaking
from ai_worker.hearing import Hearing
from ai_worker.hops import Hops
from ai_worker.live_hearing import LiveHearing, Words
from ai_worker.metrics import Metrics
from ai_worker.outbox import Outbox
from ai_worker.providers.base import ProviderError, TextDelta, ToolCall
from ai_worker.providers.suite import Suite
from ai_worker.tools import LineRequest, MessageTaken, ToolBox, ToolResult
from ai_worker.turn import TurnJudge
from ai_worker.vad.silero import WINDOW_MS
from ai_worker.voice import Voice
from callbus import commands, media, transcript
from callbus.broker import Broker
from callbus.busclock import BusClock
from callbus.claims import Lease

_Revision = tuple[int, int]

log = structlog.get_logger()


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
        self._providers = providers
        self._live = LiveHearing(
            providers.stt, self.hearing, agent.language_code, self.tell, wanted=providers.hears_live
        )
        self._tools = tools
        self._metrics = metrics
        self._beeps = BeepDetector(sample_rate)
        self._hops = Hops()
        self._bus_clock = bus_clock
        self._turn_judge = turn_judge
        self._worker = worker
        self._past = _id(past)
        self._elapsed = elapsed
        self._outbox = Outbox(broker, lease.call_id)
        self._outbox.streamer = streamer
        self._conversation = Conversation(persona, turn_taking, history=history, prefix=str(lease.epoch))
        self._voice = Voice(providers.tts, agent, sample_rate, self._speak, self.tell)
        self._tasks: asyncio.TaskGroup
        self._context: contextvars.Context
        self._transcribing: dict[_Revision, asyncio.Task[None]] = {}
        self._thinking: dict[int, asyncio.Task[None]] = {}
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
                for task in (*helpers, *self._transcribing.values(), *self._thinking.values()):
                    task.cancel()
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
        past = _id(entry_id) <= self._past
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
                self._transcribe(action)
            case act.Think():
                self._thinking[action.reply] = self._start(self._think(action))
            case act.UseTool():
                self._start(self._use(action.call))
            case act.StopThinking():
                if task := self._thinking.pop(action.reply, None):
                    task.cancel()
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

    def _transcribe(self, action: act.Transcribe) -> None:
        key, probe = (action.utterance, action.revision), action.revision == act.PROBE
        for (utterance, _), task in self._transcribing.items():
            # Words of a stretch that has grown since are not wanted, and would cost another call its turn.
            if utterance == action.utterance and not probe and task.get_name() == "whole":
                task.cancel()
        task = self._start(self._understand(key, self._live.words(action)))
        task.set_name("probe" if probe else "part" if action.part else "whole")
        self._transcribing[key] = task
        if self._turn_judge and not action.part and not probe:
            pcm = self.hearing.cut(action.start_ms, action.end_ms)
            self._start(self._judge_turn(self._turn_judge, key, pcm))

    async def _judge_turn(self, judge: TurnJudge, key: _Revision, pcm: bytes) -> None:
        finished = await judge.finished(pcm, self.hearing.sample_rate)
        if finished is not None:
            self.tell(ev.TurnJudged(*key, finished))

    async def _understand(self, key: _Revision, words: Words) -> None:
        try:
            self.tell(ev.Transcribed(*key, await words()))
        except ProviderError as error:
            log.warning("speech-to-text failed", call_id=self.lease.call_id, error=str(error))
            self.tell(ev.TranscribeFailed(*key, str(error)))
        finally:
            if self._transcribing.get(key) is asyncio.current_task():
                del self._transcribing[key]

    async def _think(self, action: act.Think) -> None:
        try:
            async with aclosing(self._providers.llm.stream(action.messages, tools=action.tools)) as deltas:
                async for delta in deltas:
                    if isinstance(delta, TextDelta):
                        self.tell(ev.ReplyText(action.reply, delta.text))
                    else:
                        self.tell(ev.ToolAsked(action.reply, delta))
            self.tell(ev.ReplyDone(action.reply))
        except ProviderError as error:
            log.warning("language model failed", call_id=self.lease.call_id, error=str(error))
            self.tell(ev.ReplyFailed(action.reply, str(error)))
        finally:
            self._thinking.pop(action.reply, None)

    async def _use(self, call: ToolCall) -> None:
        if self._tools.is_http(call.name):
            result = await self._tools.run(call.name, call.arguments, tool_call_id=call.id)
            self.tell(ev.ToolDone(call.id, result.text))
            return
        match self._tools.request(call.name, call.arguments):
            case LineRequest(kind, argument, say):
                self.tell(
                    ev.ToolDone(call.id, "It is done when you have finished speaking.", Scripted(say, kind, argument))
                )
            case MessageTaken():
                self.tell(ev.ToolDone(call.id, "The message is written down."))
            case ToolResult(text=text):
                self.tell(ev.ToolDone(call.id, text))

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
