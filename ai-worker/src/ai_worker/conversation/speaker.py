"""The bot's replies: begun, held back and resumed, apologised for when a provider fails, watched until heard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import StopThinking
from ai_worker.conversation.context import Context
from ai_worker.conversation.ear import Ear
from ai_worker.conversation.history import PendingAction
from ai_worker.conversation.line import Line
from ai_worker.conversation.mouth import Mouth, Reply
from ai_worker.conversation.persona import Scripted
from ai_worker.conversation.scripted import Sentence, sentences
from ai_worker.conversation.stages import Stages
from callbus import transcript

_GIVEN_UP = "It was not done: too much went wrong before."


class Speaker:
    """`on_silent` is called when a reply is over and nothing follows from it."""

    def __init__(self, context: Context, line: Line, ear: Ear, mouth: Mouth, on_silent: Callable[[], None]) -> None:
        self._context = context
        self._line = line
        self._ear = ear
        self._mouth = mouth
        self._on_silent = on_silent
        self._failures = 0
        self.stages = Stages()

    @property
    def reply(self) -> Reply | None:
        return self._mouth.reply

    # --- what to say

    def speak(self, text: str, *, turn: int = 0) -> None:
        """Say a fixed text, unless an operator has muted the bot."""
        if not self._context.history.muted:
            self.say(text, turn=turn)

    def say(self, text: str, *, turn: int = 0, action: PendingAction | None = None) -> None:
        """Say a fixed text, whoever wants it said, then do `action`."""
        self._say(sentences(text), turn, action)

    def say_for_operator(self, text: str) -> None:
        """Say an operator's words; they protect nothing."""
        self._say([replace(sentence, by_operator=True) for sentence in sentences(text)], 0, None)

    def _say(self, whole: list[Sentence], turn: int, action: PendingAction | None) -> None:
        self.open(turn, action=action, protected=any(sentence.protected for sentence in whole))
        self._mouth.say(whole)
        self.progress()

    def greet(self) -> None:
        """The call's first words. What the law wants said can't be interrupted."""
        persona = self._context.persona
        if persona.opening:
            self.perform(persona.opening)
        else:
            self.speak(persona.first_words)

    def perform(self, scripted: Scripted, *, turn: int = 0) -> None:
        """Say what the script says, then do what it says; nothing of it for a muted bot."""
        if self._context.history.muted:
            return
        action = self._line.plan(scripted.kind, scripted.argument) if scripted.kind else None
        self.say(scripted.say, turn=turn, action=action)

    def say_goodbye(self) -> None:
        self.perform(Scripted(self._context.persona.goodbye, "hangup"))

    def announce(self, action: PendingAction) -> None:
        """What was done on the line is followed by this: say what comes before it, then do it."""
        self.say(action.say, turn=self._context.history.turn, action=action)

    def open(self, turn: int, *, action: PendingAction | None = None, protected: bool = False) -> Reply:
        """Begin a reply; it is held back while the caller is saying something.

        `protected`: it has sentences that can't be interrupted.
        """
        self._line.stop_file()
        yields = self._context.persona.allow_interruptions
        paused = self._ear.holds_back(interruptible=yields and not protected)
        reply = Reply(self._context.new_reply(), turn, yields, paused=paused, action=action)
        self._mouth.reply = reply
        self._context.timers.cancel("silence")
        return reply

    # --- holding back, going on, giving up

    def pause(self) -> None:
        self._mouth.pause()
        self._context.timers.cancel("speaking")

    def resume(self) -> None:
        self._mouth.resume()
        self.progress()

    def line_returned(self) -> None:
        """Nothing that was on the line is sure to be there, or to be heard of."""
        reply = self.reply
        if reply:
            reply.paused = True
        self._mouth.silence()
        if reply and not self._ear.holds_back(interruptible=reply.interruptible):
            self._context.timers.cancel("interruption")
            self.resume()

    def abandon(self) -> None:
        """The caller has taken the turn, or the call is over."""
        reply = self._mouth.abandon()
        self._line.drop()
        if reply is None:
            return
        self._context.timers.cancel("thinking", "speaking", "settling", "filler")
        if reply.thinking and not reply.unasked:
            self._context.emit(StopThinking(reply.id))

    # --- making up for what went wrong

    def apologise(self, text: str) -> None:
        """Say an honest sentence; when failures go on, hand the caller to a person, or end the call politely."""
        if not self._context.history.muted:
            self.excuse(self.open(0), text)

    def excuse(self, reply: Reply, text: str) -> None:
        """Say it in a reply that has gone wrong."""
        persona = self._context.persona
        self._failures += 1
        reply.excused = True
        if self._failures > self._context.options.failures_tolerated:
            text = persona.apology if persona.fallback_number else f"{persona.apology} {persona.goodbye}"
            self._line.drop(_GIVEN_UP)
            reply.action = self._way_out()
        self._mouth.say(sentences(text))
        if reply.action:
            self._mouth.say(sentences(reply.action.say))
        self.progress()

    def not_possible(self) -> None:
        """What was announced can't be done: say so."""
        context = self._context
        if self._failures > context.options.failures_tolerated or self._line.closing:
            self.say_goodbye()
        else:
            self.speak(context.persona.not_possible)

    def _way_out(self) -> PendingAction:
        number = self._context.persona.fallback_number
        return self._line.plan("transfer" if number else "hangup", number)

    # --- the voice

    def first_sound(self, event: ev.FirstSound) -> None:
        self._mouth.sounding(event.segment)
        self.stages.mark("tts_first_byte", self._context.now)
        self.watch()

    def word_timed(self, event: ev.WordTimed) -> None:
        self._mouth.timed(event.segment, event.until)

    def synthesised(self, event: ev.Synthesised) -> None:
        self._mouth.synthesised(event.segment, event.ms)
        self.watch()

    def synthesis_failed(self, event: ev.SynthesisFailed) -> None:
        self._context.note(f"text-to-speech failed: {event.reason}")
        self._mouth.failed(event.segment)
        self.progress()

    def played(self, event: ev.Played) -> None:
        started = self._mouth.played(event)
        mine = self.reply is not None and started in self.reply.segments
        if started and mine and (timed := self.stages.heard(started.turn, event.at, self._context.now)):
            self._context.write(timed)
        if self.reply and self.reply.line_lost and not self._context.timers.running("interruption"):
            self._context.after("interruption", self._context.options.line_lost_limit)
        self.progress()

    def no_news(self) -> None:
        """The streamer has been silent about the audio for too long."""
        self._context.note("no news of the audio that was sent")
        if self.reply and self.reply.resume_when_silent:
            self._mouth.settle_unknown()
            self._mouth.resume()
        else:
            self._mouth.give_up()
        self.progress()

    def progress(self) -> None:
        """Something about the reply has changed: it may be all written by now, or over."""
        self.watch()
        if (reply := self.reply) and reply.written and not reply.whole:
            reply.whole = True
            self._context.write(transcript.Answered(self._context.now, reply.turn))
        self._check_complete()

    def watch(self) -> None:
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
        broken = reply.failed_segments > 0
        if reply.turn and not reply.excused and not broken:
            self._failures = 0
        if reply.action:
            self._context.history.reply_is_whole()
            self._line.act(reply.action)
        elif broken and not reply.heard and self._failures >= self._context.options.failures_tolerated:
            # Words would only fail again: act without them.
            self._line.act(self._way_out())
        elif broken:
            self.apologise(self._context.persona.apology)
        else:
            self._on_silent()
