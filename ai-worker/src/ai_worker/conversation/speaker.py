"""The bot's answers: scripted or thought of, spoken, apologised for when a provider fails, watched until heard."""

from __future__ import annotations

from collections.abc import Callable

from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import StopThinking, Think
from ai_worker.conversation.context import Context
from ai_worker.conversation.history import PendingAction
from ai_worker.conversation.line import Line
from ai_worker.conversation.mouth import Mouth, Reply
from ai_worker.conversation.persona import Scripted
from ai_worker.conversation.sentences import split_sentences
from ai_worker.conversation.stages import Stages


class Speaker:
    """`on_silent` is called when a reply is over and nothing follows from it."""

    def __init__(self, context: Context, line: Line, on_silent: Callable[[], None]) -> None:
        self._context = context
        self._line = line
        self._on_silent = on_silent
        self._mouth = Mouth(context)
        self._replies = 0
        self._failures = 0
        self.stages = Stages()

    @property
    def reply(self) -> Reply | None:
        return self._mouth.reply

    # --- what to say

    def speak(self, text: str, *, turn: int = 0, action: PendingAction | None = None) -> None:
        """Say a fixed text, then do `action`."""
        self.open(turn, action=action)
        self._mouth.say(split_sentences(text))
        self._progress()

    def perform(self, scripted: Scripted, *, turn: int = 0) -> None:
        """Say what the script says, then do what it says."""
        action = self._line.plan(scripted.kind, scripted.argument) if scripted.kind else None
        self.speak(scripted.say, turn=turn, action=action)

    def answer(self, text: str) -> None:
        """Answer the caller's latest turn."""
        history, persona = self._context.history, self._context.persona
        if scripted := persona.script(text):
            self.perform(scripted, turn=history.turn)
            return
        reply = self.open(history.turn)
        reply.thinking = True
        self._context.after("thinking", self._context.options.thinking_limit)
        self._context.emit(Think(reply.id, history.messages(persona.instructions)))

    def say_goodbye(self) -> None:
        self.perform(Scripted(self._context.persona.goodbye, "hangup"))

    def open(self, turn: int, *, action: PendingAction | None = None) -> Reply:
        self._replies += 1
        reply = Reply(self._replies, turn, self._context.persona.allow_interruptions, action=action)
        self._mouth.reply = reply
        self._context.timers.cancel("silence", "turn")
        return reply

    def continue_with(self, unheard: list[str], action: PendingAction | None, *, paused: bool) -> None:
        """Go on with what another worker left unsaid."""
        reply = self.open(self._context.history.turn, action=action)
        reply.paused = paused
        self._mouth.say(unheard)
        self._progress()

    # --- holding back, going on, giving up

    def pause(self) -> None:
        self._mouth.pause()
        self._context.timers.cancel("speaking", "thinking")

    def resume(self) -> None:
        self._mouth.resume()
        reply = self.reply
        if reply and reply.thinking:
            self._context.after("thinking", self._context.options.thinking_limit)
        self._progress()

    def abandon(self) -> None:
        """The caller has taken the turn, or the call is over."""
        reply = self._mouth.abandon()
        if reply is None:
            return
        self._context.timers.cancel("thinking", "speaking")
        if reply.thinking:
            self._context.emit(StopThinking(reply.id))
        if reply.action:
            self._line.drop(reply.action)

    def stop_all(self) -> None:
        self._mouth.stop_all()

    def settle_unknown(self) -> None:
        self._mouth.settle_unknown()

    # --- the language model writes

    def reply_text(self, event: ev.ReplyText) -> None:
        reply = self._thinking(event.reply)
        if reply is None:
            return
        self.stages.mark("llm_first_token", self._context.now)
        before = reply.sentences
        self._mouth.write(event.text)
        if reply.sentences > before:
            self.stages.mark("first_sentence", self._context.now)
            self._watch()
        if not reply.paused:
            self._context.after("thinking", self._context.options.thinking_limit)

    def reply_done(self, event: ev.ReplyDone) -> None:
        reply = self._thinking(event.reply)
        if reply is None:
            return
        self._context.timers.cancel("thinking")
        self._mouth.written()
        if reply.sentences:
            self.stages.mark("first_sentence", self._context.now)
            self._progress()
        else:
            self._lost(reply, "an empty answer")

    def reply_failed(self, event: ev.ReplyFailed) -> None:
        if reply := self._thinking(event.reply):
            self._lost(reply, event.reason)

    def thinking_too_long(self) -> None:
        if self.reply and self.reply.thinking:
            self._context.emit(StopThinking(self.reply.id))
            self._lost(self.reply, "no answer in time")

    def _thinking(self, reply_id: int) -> Reply | None:
        reply = self.reply
        return reply if reply and reply.id == reply_id and reply.thinking else None

    def _lost(self, reply: Reply, reason: str) -> None:
        """The language model did not deliver: say so, unless a part of the answer stands for itself."""
        self._context.timers.cancel("thinking")
        self._context.note(f"language model failed: {reason}")
        if reply.sentences:
            self._mouth.written()
            self._progress()
            return
        reply.thinking = False
        self._mouth.reply = None
        self.apologise(self._context.persona.apology)

    def apologise(self, text: str) -> None:
        """Say an honest sentence; when failures go on, hand the caller to a person, or end the call politely."""
        persona = self._context.persona
        self._failures += 1
        if self._failures <= self._context.options.failures_tolerated:
            self.speak(text)
        elif persona.fallback_number:
            self.perform(Scripted(persona.apology, "transfer", persona.fallback_number))
        else:
            self.perform(Scripted(f"{persona.apology} {persona.goodbye}", "hangup"))

    # --- the voice

    def first_sound(self, _event: ev.FirstSound) -> None:
        self.stages.mark("tts_first_byte", self._context.now)
        self._watch()

    def synthesised(self, event: ev.Synthesised) -> None:
        self._mouth.synthesised(event.segment, event.ms)
        self._watch()

    def synthesis_failed(self, event: ev.SynthesisFailed) -> None:
        self._context.note(f"text-to-speech failed: {event.reason}")
        self._mouth.failed(event.segment)
        self._progress()

    def played(self, event: ev.Played) -> None:
        started = self._mouth.played(event)
        if started and (timed := self.stages.heard(started.turn, event.at, self._context.now)):
            self._context.write(timed)
        if self.reply and self.reply.line_lost and not self._context.timers.running("interruption"):
            self._context.after("interruption", self._context.options.line_lost_limit)
        self._progress()

    def no_news(self) -> None:
        """The streamer has been silent about the audio for too long."""
        self._context.note("no news of the audio that was sent")
        self._mouth.settle_unknown()
        reply = self.reply
        if reply and reply.resume_when_silent:
            self._mouth.resume()
        self._progress()

    def _progress(self) -> None:
        self._watch()
        self._check_complete()

    def _watch(self) -> None:
        """What is being spoken must be heard of again, in the time that it takes to say it and a little more."""
        reply, timers = self.reply, self._context.timers
        if reply is None or not reply.unsettled or (reply.paused and not reply.resume_when_silent):
            timers.cancel("speaking")
            return
        expected = sum(segment.synthesised_ms or 0 for segment in reply.unsettled) / 1000
        self._context.after("speaking", expected + self._context.options.speaking_limit)

    def _check_complete(self) -> None:
        reply = self.reply
        if reply is None or not reply.finished:
            return
        self._mouth.reply = None
        self._context.timers.cancel("speaking", "thinking")
        unspeakable = reply.failed_segments > 0 and not reply.heard
        if unspeakable:
            self._failures += 1
        elif reply.turn:
            self._failures = 0
        if unspeakable and self._failures > self._context.options.failures_tolerated:
            # Words would only fail again: act without them.
            number = self._context.persona.fallback_number
            self._line.act(reply.action or self._line.plan("transfer" if number else "hangup", number))
        elif reply.action:
            self._line.act(reply.action)
        else:
            self._on_silent()
