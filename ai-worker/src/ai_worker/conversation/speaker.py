"""The bot's answers: scripted or thought of, spoken, apologised for when a provider fails, watched until heard."""

from __future__ import annotations

from collections.abc import Callable

from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import StopThinking, Think
from ai_worker.conversation.context import Context
from ai_worker.conversation.ear import Ear
from ai_worker.conversation.guess import Speculation
from ai_worker.conversation.history import PendingAction
from ai_worker.conversation.line import Line
from ai_worker.conversation.mouth import Mouth, Reply
from ai_worker.conversation.persona import Scripted
from ai_worker.conversation.scripted import Sentence, sentences
from ai_worker.conversation.stages import Stages
from ai_worker.conversation.tooluse import LATE_RESULT, ToolUse
from callbus import transcript


class Speaker:
    """`on_silent` is called when a reply is over and nothing follows from it."""

    def __init__(self, context: Context, line: Line, ear: Ear, on_silent: Callable[[], None]) -> None:
        self._context = context
        self._line = line
        self._ear = ear
        self._on_silent = on_silent
        self._mouth = Mouth(context)
        self._tools = ToolUse(context)
        self._speculation = Speculation(context)
        self._replies = 0
        self._failures = 0
        self.stages = Stages()

    @property
    def reply(self) -> Reply | None:
        return self._mouth.reply

    # --- what to say

    def speak(self, text: str, *, turn: int = 0, action: PendingAction | None = None) -> None:
        """Say a fixed text, then do `action`."""
        whole = sentences(text)
        self.open(turn, action=action, protected=any(sentence.protected for sentence in whole))
        self._mouth.say(whole)
        self._progress()

    def greet(self) -> None:
        """The call's first words. What the law wants said can't be interrupted."""
        persona = self._context.persona
        if persona.opening:
            self.perform(persona.opening)
        else:
            self.speak(persona.first_words)

    def perform(self, scripted: Scripted, *, turn: int = 0) -> None:
        """Say what the script says, then do what it says."""
        action = self._line.plan(scripted.kind, scripted.argument) if scripted.kind else None
        self.speak(scripted.say, turn=turn, action=action)

    def answer(self, text: str) -> None:
        """Answer the caller's latest turn; "" when a tool's result came since."""
        history, persona = self._context.history, self._context.persona
        self._speculation.turn_over()
        if text and (scripted := persona.script(text)):
            self._speculation.take_prepared()
            self.perform(scripted, turn=history.turn)
            return
        reply = self.open(history.turn)
        reply.thinking = reply.unasked = True
        if history.unsettled:
            self._context.after("settling", self._context.options.settling_limit)
        else:
            self.ask()

    def ask(self) -> None:
        """Ask the language model, if it waits to be asked."""
        reply, context = self.reply, self._context
        if reply and reply.unasked:
            reply.unasked = False
            context.timers.cancel("settling")
            self._think(reply)

    def _think(self, reply: Reply) -> None:
        context, persona = self._context, self._context.persona
        reply.thinking = True
        context.after("thinking", context.options.thinking_limit)
        to_go_on = reply.going_on and not reply.rounds
        messages = context.history.messages(persona.instructions, to_go_on=to_go_on)
        if guess := self._speculation.take(messages):
            reply.id = guess.reply
            self.stages.adopt(guess.marks)
            for event in guess.written:
                self.heed(event)
        else:
            self.stages.mark("llm_asked", context.now)
            context.emit(Think(reply.id, messages, persona.tools))

    def guess(self, text: str) -> None:
        """The caller has probably finished, with this `text`: begin what `answer` would do, unheard and unseen."""
        history, persona = self._context.history, self._context.persona
        if history.unsettled:
            return  # what the model would be told is not known yet
        if scripted := persona.script(text):
            self._speculation.prepare(scripted.say)
        elif self._speculation.think(self._replies + 1, history.messages(persona.instructions, next_turn=text)):
            self._replies += 1

    def forget_guess(self) -> None:
        """A guess is for the turn whose end is being waited for, and for the answer that waits to be asked for."""
        if not (self.reply and self.reply.unasked):
            self._speculation.drop()

    def say_goodbye(self) -> None:
        self.perform(Scripted(self._context.persona.goodbye, "hangup"))

    def open(self, turn: int, *, action: PendingAction | None = None, protected: bool = False) -> Reply:
        """Begin a reply; it is held back while the caller is saying something.

        `protected`: it has sentences that can't be interrupted.
        """
        self._replies += 1
        yields = self._context.persona.allow_interruptions
        paused = self._ear.holds_back(interruptible=yields and not protected)
        reply = Reply(self._replies, turn, yields, paused=paused, action=action)
        self._mouth.reply = reply
        self._context.timers.cancel("silence")
        return reply

    def continue_with(
        self, rest: list[Sentence], action: PendingAction | None, *, ask: bool, known: frozenset[str] | None
    ) -> None:
        """Go on with what another worker has begun: say `rest`, then do `action`, or `ask` the model for more.

        What is `known` of its answer the model may repeat; None when it is to answer something new.
        """
        reply = self.open(
            self._context.history.turn, action=action, protected=any(sentence.protected for sentence in rest)
        )
        reply.thinking = ask
        self._mouth.say(rest)
        if ask:
            reply.known, reply.going_on = known or frozenset(), known is not None
            self._think(reply)
        self._progress()

    # --- holding back, going on, giving up

    def pause(self) -> None:
        self._mouth.pause()
        self._context.timers.cancel("speaking")

    def resume(self) -> None:
        self._mouth.resume()
        self._progress()

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
        if reply is None:
            return
        self._context.timers.cancel("thinking", "speaking", "settling", "filler", "tools")
        if reply.thinking and not reply.unasked:
            self._context.emit(StopThinking(reply.id))
        if reply.action:
            self._line.drop(reply.action)

    def silence(self) -> None:
        self._mouth.silence()

    def settle_unknown(self) -> None:
        self._mouth.settle_unknown()

    # --- the language model writes

    def heed(self, event: ev.ReplyText | ev.ReplyDone | ev.ReplyFailed | ev.ToolAsked) -> None:
        """What the model says: about the reply under way, or about a guess."""
        if self._speculation.wrote(event):
            return
        match event:
            case ev.ReplyText():
                self._reply_text(event)
            case ev.ReplyDone():
                self._reply_done(event)
            case ev.ToolAsked():
                self._tool_asked(event)
            case ev.ReplyFailed():
                if reply := self._thinking(event.reply):
                    self._lost(reply, event.reason)

    def _reply_text(self, event: ev.ReplyText) -> None:
        reply = self._thinking(event.reply)
        if reply is None:
            return
        self.stages.mark("llm_first_token", self._context.now)
        before = reply.sentences
        self._mouth.write(event.text)
        if reply.sentences > before:
            self.stages.mark("first_sentence", self._context.now)
            self._watch()
            # A drip of words is no answer: only whole sentences buy time.
            self._context.after("thinking", self._context.options.thinking_limit)

    def _reply_done(self, event: ev.ReplyDone) -> None:
        reply = self._thinking(event.reply)
        if reply is None:
            return
        self._context.timers.cancel("thinking")
        self._mouth.written()
        if reply.calls:
            self._tools.use(reply)
            self._progress()
        elif reply.sentences or reply.going_on:
            self.stages.mark("first_sentence", self._context.now)
            self._progress()
        else:
            self._lost(reply, "an empty answer")

    def _tool_asked(self, event: ev.ToolAsked) -> None:
        if reply := self._thinking(event.reply):
            self.stages.mark("llm_first_token", self._context.now)
            self._tools.asked(reply, event.call)

    def tool_done(self, event: ev.ToolDone) -> None:
        reply = self._tools.done(self.reply, event)
        if reply is None:
            return
        if reply.request:
            request, reply.request = reply.request, None
            if request.kind and not reply.action:
                reply.action = self._line.plan(request.kind, request.argument, reply.requested_by)
            self._mouth.say(sentences(request.say))
            self._progress()
        elif reply.rounds < self._context.options.tool_rounds:
            self._think(reply)
        else:
            self._lost(reply, "it called tools again and again")

    def tools_too_long(self) -> None:
        for tool_call_id in list(self.reply.working) if self.reply else ():
            self.tool_done(ev.ToolDone(tool_call_id, LATE_RESULT))

    def fill(self) -> None:
        """A slow tool is waited for: the caller is told so, unless the bot is saying something anyway."""
        reply = self.reply
        if reply and reply.working and not (reply.paused or reply.unsettled):
            self._mouth.say(sentences(self._tools.filler(reply)))
            self._watch()

    def thinking_too_long(self) -> None:
        if self.reply and self.reply.thinking:
            self._context.emit(StopThinking(self.reply.id))
            self._lost(self.reply, "no answer in time")

    def _thinking(self, reply_id: int) -> Reply | None:
        reply = self.reply
        return reply if reply and reply.id == reply_id and reply.thinking else None

    def _lost(self, reply: Reply, reason: str) -> None:
        """The language model did not deliver: say so after what it did. A sentence that broke off is not said."""
        self._context.timers.cancel("thinking")
        self._context.note(f"language model failed: {reason}")
        reply.thinking = False
        self._excuse(reply, self._context.persona.apology)

    def apologise(self, text: str) -> None:
        """Say an honest sentence; when failures go on, hand the caller to a person, or end the call politely."""
        self._excuse(self.open(0), text)

    def _excuse(self, reply: Reply, text: str) -> None:
        persona = self._context.persona
        self._failures += 1
        reply.excused = True
        if self._failures > self._context.options.failures_tolerated:
            text = persona.apology if persona.fallback_number else f"{persona.apology} {persona.goodbye}"
            reply.action = self._way_out()
        self._mouth.say(sentences(text))
        self._progress()

    def refused(self, action: PendingAction, reason: str) -> None:
        """What was announced can't be done: say so, and let the model know."""
        context = self._context
        result = f"It was not done, and can't be: {reason}"
        if exchange := context.history.failed(action.tool_call_id, result):
            self._tools.write(exchange.call, "failed", result)
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
        self._watch()

    def word_timed(self, event: ev.WordTimed) -> None:
        self._mouth.timed(event.segment, event.until)

    def synthesised(self, event: ev.Synthesised) -> None:
        self._mouth.synthesised(event.segment, event.ms)
        self._watch()

    def synthesis_failed(self, event: ev.SynthesisFailed) -> None:
        self._context.note(f"text-to-speech failed: {event.reason}")
        self._mouth.failed(event.segment)
        self._progress()

    def played(self, event: ev.Played) -> None:
        started = self._mouth.played(event)
        mine = self.reply is not None and started in self.reply.segments
        if started and mine and (timed := self.stages.heard(started.turn, event.at, self._context.now)):
            self._context.write(timed)
        if not self._context.history.unsettled:
            self.ask()
        if self.reply and self.reply.line_lost and not self._context.timers.running("interruption"):
            self._context.after("interruption", self._context.options.line_lost_limit)
        self._progress()

    def no_news(self) -> None:
        """The streamer has been silent about the audio for too long."""
        self._context.note("no news of the audio that was sent")
        if self.reply and self.reply.resume_when_silent:
            self._mouth.settle_unknown()
            self._mouth.resume()
        else:
            self._mouth.give_up()
        self._progress()

    def _progress(self) -> None:
        self._watch()
        if (reply := self.reply) and reply.written and not reply.whole:
            reply.whole = True
            self._context.write(transcript.Answered(self._context.now, reply.turn))
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
        broken = reply.failed_segments > 0
        if reply.turn and not reply.excused and not broken:
            self._failures = 0
        if reply.action:
            self._line.act(reply.action)
        elif broken and not reply.heard and self._failures >= self._context.options.failures_tolerated:
            # Words would only fail again: act without them.
            self._line.act(self._way_out())
        elif broken:
            self.apologise(self._context.persona.apology)
        else:
            self._on_silent()
