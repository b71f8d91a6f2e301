"""One call on this worker: feeds the conversation and carries out what it wants done."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any

import structlog

from ai_worker.agent import Agent
from ai_worker.beep import BeepDetector
from ai_worker.call_clock import CallClock
from ai_worker.chronicle import Chronicle
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
from ai_worker.orders import Orders
from ai_worker.outbox import Outbox
from ai_worker.providers.suite import Suite
from ai_worker.speech_end import SpeechEnd
from ai_worker.tools import ToolBox
from ai_worker.turn import TurnJudge
from ai_worker.vad.silero import WINDOW_MS
from ai_worker.voice import Voice
from callbus import media, tracing, transcript
from callbus.broker import Broker
from callbus.busclock import BusClock
from callbus.claims import Lease
from callbus.pcm import bytes_in

if TYPE_CHECKING:
    from ai_worker.turn_traces import TurnTraces
    from callbus.otlp import Tracer

log = structlog.get_logger()


class CallTask:
    """A claimed call. The worker hands it media events and speech probabilities; `run` returns the outcome.

    `past` is the newest entry on the call's in stream when a take-over began: what stands before it is history. Calls
    are traced if there is a `tracer`; `arrival` is the traceparent of the call's coming here. `held` asks Redis whether
    the call is still this worker's.
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
        held: Callable[[], Awaitable[bool]],
        tracer: Tracer | None = None,
        arrival: str = "",
    ) -> None:
        self.lease = lease
        self.hearing = Hearing(sample_rate)
        self._speech_end = SpeechEnd(self.hearing, self._heard)
        self._agent = agent
        self._clock = CallClock(bus_clock, lambda: self.tell(ev.Tick()))
        self._hops = Hops()
        self._outbox = Outbox(broker, lease.call_id)
        self._outbox.streamer = streamer
        self._traces: TurnTraces | None = None
        if tracer:
            from ai_worker.turn_traces import TurnTraces

            about: tracing.Attributes = {"call.epoch": lease.epoch, "agent": agent.name, "worker": worker}
            self._traces = TurnTraces(
                tracer, lease.call_id, about, turn=history.turn, follows=arrival, now=self._clock.now
            )
        self._read_up_to = b""
        self._chronicle = Chronicle(
            self._outbox, history, self._hops, self._clock, metrics, self._traces, lambda: self._read_up_to
        )
        providers = providers.reporting(self._chronicle.used, self._chronicle.noted)
        self._live = LiveHearing(
            providers.stt,
            self.hearing,
            agent.language_code,
            self.tell,
            wanted=providers.hears_live,
            context=lambda of_turn: self._context_of(self.turn + 1, traced=of_turn),
        )
        self._errands = Errands(
            lease.call_id,
            self.hearing,
            self._live,
            providers.llm,
            tools,
            turn_judge,
            self._start,
            self.tell,
            self._noted,
        )
        self._metrics = metrics
        self._beeps = BeepDetector(sample_rate)
        self._worker = worker
        self._past: tuple[int, int] | None = _id(past)
        self._elapsed = elapsed
        self._held = held
        self._conversation = Conversation(persona, turn_taking, history=history, prefix=str(lease.epoch))
        self._voice = Voice(
            providers.tts,
            agent,
            sample_rate,
            self._speak,
            self.tell,
            lambda turn: self._context_of(self.turn + 1 if turn is None else turn or self.turn),
        )
        self._orders = Orders(self._outbox, lease, lambda: self._traces.of(self.turn) if self._traces else None)
        self._tasks: asyncio.TaskGroup
        self._context: contextvars.Context
        self._finished: asyncio.Future[act.Finish] = asyncio.get_running_loop().create_future()

    @property
    def turn(self) -> int:
        """The caller's turn that is answered, or was last; 0 is the greeting."""
        return self._conversation.history.turn

    async def run(self) -> act.Finish:
        """Live through the call. Ends early, by an exception, only for a fault of this program."""
        # Events come from other tasks; what they start still belongs to this call, in the logs too.
        structlog.contextvars.bind_contextvars(turn=lambda: self.turn)
        self._context = contextvars.copy_context()
        try:
            async with asyncio.TaskGroup() as self._tasks:
                sending, speaking = (self._tasks.create_task(run()) for run in (self._outbox.run, self._voice.run))
                self._begin()
                finish = await self._finished
                # What is not wanted any more has used something, too: it is told before the last entry goes out.
                speaking.cancel()
                await asyncio.wait([speaking, *self._errands.cancel()])
                await self._live.aclose()
                await self._outbox.flushed()
                sending.cancel()
        finally:
            self._clock.wake_at(None)
            self._speech_end.cancel()
            await self._live.aclose()
            if self._traces:
                self._traces.close()
        return finish

    def _begin(self) -> None:
        self._outbox.write(transcript.Claimed(self._clock.now(), self._worker, self.lease.epoch, self._agent.name))
        self._orders.begin(takeover=self.lease.takeover, recording=self._agent.recording)
        self.tell(ev.Begin(self._elapsed))

    # --- what the worker hands over

    def mend(self, event: media.MediaEvent, lost_ms: int) -> media.MediaEvent:
        """Audio whose position is not the one that was to come: some is missing before it, or it was there before."""
        if lost_ms < 0 and isinstance(event, media.Audio):
            return dataclasses.replace(event, pcm=event.pcm[bytes_in(-lost_ms, self.hearing.sample_rate) :])
        self.tell(ev.AudioLost(lost_ms))
        return event

    def receive(self, entry_id: bytes, event: media.MediaEvent) -> bytes:
        """One entry of the in stream; the audio in it (s16le mono) is returned, to be judged with other calls'."""
        self._read_up_to = entry_id
        past = self._past is not None and _id(entry_id) <= self._past
        if not past:
            self._past = None
        match event:
            case media.Audio(pcm=b""):
                pass
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
            self._heard(event)
        self._live.advance(at_ms + WINDOW_MS)
        self._speech_end.watch()

    def _heard(self, event: ev.Event) -> None:
        if isinstance(event, ev.SpeechStopped):
            self._hops.paused(self._clock.now())
        if self._traces and isinstance(event, ev.SpeechPaused | ev.SpeechStopped):
            self._trace_pause(self._traces, event)
        self.tell(event)

    def tell(self, event: ev.Event) -> None:
        """Let the conversation know, and do what it wants done."""
        if self._finished.done():
            return
        try:
            self._tell(event)
        except Exception as error:
            # Whoever tells it has other calls to serve, or is a timer whose faults nobody sees.
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """A fault of this program has befallen this call: `run` raises it, and another worker may do better."""
        if self._finished.done():
            log.error("a fault after the call's end", call_id=self.lease.call_id, exc_info=error)
        else:
            self._finished.set_exception(error)

    def _tell(self, event: ev.Event) -> None:
        for action in self._conversation.handle(event, self._clock.now()):
            self._carry_out(action)
        doing = self._conversation.state
        self._outbox.show(doing, muted=self._conversation.muted, now=self._clock.now())
        if self._traces and doing == "listening":
            self._traces.silent()
        self._clock.wake_at(self._conversation.next_wake)

    # --- what the conversation wants done

    def _carry_out(self, action: act.Action) -> None:
        match action:
            case act.Write():
                self._chronicle.write(action.entry)
            case act.Say():
                self._voice.say(action)
            case act.Unsay():
                self._voice.unsay()
            case act.StopSpeaking():
                self._voice.stop()
                self._orders.be_silent()
            case act.Listen():
                if self._traces:
                    self._traces.listening(action.utterance)
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
                self._orders.act(action)
            case act.Finish():
                self._finished.set_result(action)

    def _speak(self, segment: str, pcm: bytes, last: bool) -> None:
        self._hops.spoke(segment, self._clock.now())
        self._orders.speak(segment, pcm, last)

    def _trace_pause(self, traces: TurnTraces, event: ev.SpeechPaused | ev.SpeechStopped) -> None:
        silence = (self.hearing.position_ms - event.end_ms) / 1000 + self._hops.way_in(self._clock.bus_ahead)
        traces.paused(self._clock.now() - silence, sure=isinstance(event, ev.SpeechStopped))

    async def _noted(self) -> bool:
        await self._outbox.flushed()
        return await self._held()

    def _start(self, work: Coroutine[Any, Any, None], for_next: bool) -> asyncio.Task[None]:
        return self._tasks.create_task(work, context=self._context_of(self.turn + for_next))

    def _context_of(self, turn: int, *, traced: bool = True) -> contextvars.Context:
        context = self._context.copy()
        context.run(structlog.contextvars.bind_contextvars, turn=turn)
        if self._traces and traced:
            context.run(tracing.enter, self._traces.of(turn))
        return context


def _id(entry_id: bytes) -> tuple[int, int]:
    """A stream entry's id as it orders."""
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds or 0), int(sequence or 0)
