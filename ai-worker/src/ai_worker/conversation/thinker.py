"""The answers to the caller: by the script, or thought of by the language model and heeded as it writes them."""

from __future__ import annotations

from dataclasses import replace

from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import LineAction, StopThinking, Think
from ai_worker.conversation.context import Context
from ai_worker.conversation.guess import Speculation
from ai_worker.conversation.history import INTERRUPTED, PendingAction
from ai_worker.conversation.line import Line
from ai_worker.conversation.mouth import Mouth, Reply
from ai_worker.conversation.persona import Scripted
from ai_worker.conversation.scripted import Sentence, sentences
from ai_worker.conversation.speaker import Speaker
from ai_worker.conversation.tooluse import LATE_RESULT, ToolUse


class Thinker:
    """Opens replies with the speaker, and puts into its mouth what the model writes."""

    def __init__(self, context: Context, line: Line, mouth: Mouth, speaker: Speaker, tools: ToolUse) -> None:
        self._context = context
        self._line = line
        self._mouth = mouth
        self._speaker = speaker
        self._tools = tools
        self._speculation = Speculation(context)

    # --- what to think of

    def answer(self, text: str) -> None:
        """Answer the caller's latest turn; "" when a tool's result is to be told."""
        history, persona = self._context.history, self._context.persona
        self._speculation.turn_over()
        if text and (scripted := persona.script(text)):
            self._speculation.take_prepared()
            self._speaker.perform(scripted, turn=history.turn)
            return
        reply = self._speaker.open(history.turn)
        reply.thinking = reply.unasked = True
        if history.unsettled:
            self._context.after("settling", self._context.options.settling_limit)
        else:
            self.ask()

    def ask(self) -> None:
        """Ask the language model, if it waits to be asked."""
        reply, context = self._mouth.reply, self._context
        if reply and reply.unasked:
            reply.unasked = False
            context.timers.cancel("settling")
            self._think(reply)

    def continue_with(
        self, rest: list[Sentence], action: PendingAction | None, *, ask: bool, known: frozenset[str] | None
    ) -> None:
        """Go on with what another worker has begun: say `rest`, then do `action`, or `ask` the model for more.

        What is `known` of its answer the model may repeat; None when it is to answer something new.
        """
        protected = any(sentence.protected for sentence in rest)
        reply = self._speaker.open(self._context.history.turn, action=action, protected=protected)
        reply.thinking = ask
        self._mouth.say(rest)
        if ask:
            reply.known, reply.going_on = known or frozenset(), known is not None
            self._think(reply)
        self._speaker.progress()

    def _think(self, reply: Reply) -> None:
        context, persona = self._context, self._context.persona
        reply.thinking = True
        context.after("thinking", context.options.thinking_limit)
        to_go_on = reply.going_on and not reply.rounds
        news, self._tools.news = self._tools.news, False
        messages = context.history.messages(persona.instructions, coming=reply.coming, to_go_on=to_go_on, news=news)
        if guess := self._speculation.take(messages):
            reply.id = guess.reply
            self._speaker.stages.adopt(guess.marks)
            for event in guess.written:
                self.heed(event)
        else:
            self._speaker.stages.mark("llm_asked", context.now)
            context.emit(Think(reply.id, messages, persona.tools))

    # --- before the turn is over

    def guess(self, text: str) -> None:
        """The caller has probably finished, with this `text`: begin what `answer` would do, unheard and unseen."""
        history, persona = self._context.history, self._context.persona
        if history.unsettled or history.muted:
            return  # what the model would be told is not known yet, or it won't be asked
        if scripted := persona.script(text):
            self._speculation.prepare(scripted.say)
        else:
            self._speculation.think(history.messages(persona.instructions, next_turn=text))

    def forget_guess(self) -> None:
        """A guess is for the turn whose end is being waited for, and for the answer that waits to be asked for."""
        if not (self._mouth.reply and self._mouth.reply.unasked):
            self._speculation.drop()

    # --- the language model writes

    def heed(self, event: ev.ReplyText | ev.ReplyDone | ev.ReplyFailed | ev.ToolAsked) -> None:
        """What the model says: about the reply under way, or about a guess."""
        if self._speculation.wrote(event):
            return
        reply = self._mouth.reply
        if reply is None or reply.id != event.reply or not reply.thinking:
            return
        match event:
            case ev.ReplyText():
                self._text(reply, event.text)
            case ev.ReplyDone():
                self._done(reply)
            case ev.ToolAsked():
                self._speaker.stages.mark("llm_first_token", self._context.now)
                self._tools.asked(reply, event.call)
            case ev.ReplyFailed():
                self._lost(reply, event.reason)

    def _text(self, reply: Reply, text: str) -> None:
        self._speaker.stages.mark("llm_first_token", self._context.now)
        before = reply.sentences
        self._mouth.write(text)
        if reply.sentences > before:
            self._speaker.stages.mark("first_sentence", self._context.now)
            self._speaker.watch()
            # A drip of words is no answer: only whole sentences buy time.
            self._context.after("thinking", self._context.options.thinking_limit)

    def _done(self, reply: Reply) -> None:
        self._context.timers.cancel("thinking")
        self._mouth.written()
        if reply.calls:
            self._tools.use(reply)
            self._speaker.progress()
        elif reply.sentences or reply.going_on or reply.action:
            self._speaker.stages.mark("first_sentence", self._context.now)
            self._conclude(reply)
        else:
            self._lost(reply, "an empty answer")

    def _conclude(self, reply: Reply) -> None:
        """All is said but for what announces the action that follows."""
        if reply.action:
            self._mouth.say(sentences(reply.action.say))
        self._speaker.progress()

    def thinking_too_long(self) -> None:
        reply = self._mouth.reply
        if reply and reply.thinking:
            self._context.emit(StopThinking(reply.id))
            self._lost(reply, "no answer in time")

    def _lost(self, reply: Reply, reason: str) -> None:
        """The language model did not deliver: say so after what it did. A sentence that broke off is not said."""
        self._context.timers.cancel("thinking")
        self._context.note(f"language model failed: {reason}")
        reply.thinking = False
        self._speaker.excuse(reply, self._context.persona.apology)

    # --- its tools work

    def tool_done(self, event: ev.ToolDone) -> None:
        reply = self._mouth.reply
        if event.request and event.request.kind:
            # Before its result is written down: the plan is what makes that true.
            event = self._planned(reply, event, event.request.kind, event.request)
        if not self._tools.done(reply, event) or reply is None:
            return
        if not reply.to_tell:
            self._conclude(reply)
        elif reply.rounds < self._context.options.tool_rounds:
            self._think(reply)
        else:
            self._lost(reply, "it called tools again and again")

    def _planned(self, reply: Reply | None, event: ev.ToolDone, kind: LineAction, request: Scripted) -> ev.ToolDone:
        """What a tool call wants done on the line is planned, or the model is told that it is not."""
        if reply is None or event.tool_call_id not in reply.working:
            return replace(event, text=INTERRUPTED, failed=True)
        if why := self._line.nothing_follows:
            return replace(event, text=f"It was not done: {why}", failed=True)
        action = self._line.plan(kind, request.argument, tool_call_id=event.tool_call_id, say=request.say)
        reply.action = reply.action or action
        return event

    def tools_too_long(self) -> None:
        for tool_call_id in self._tools.too_long():
            self.tool_done(ev.ToolDone(tool_call_id, LATE_RESULT, failed=True))

    def fill(self) -> None:
        """A slow tool is waited for: the caller is told so, as soon as the bot is not saying something anyway."""
        reply, options = self._mouth.reply, self._context.options
        if reply is None or not reply.working:
            return
        if reply.paused or reply.unsettled:
            self._context.after("filler", options.filler_after)
            return
        self._mouth.say(sentences(self._tools.filler()))
        self._speaker.watch()
        self._context.after("filler", options.filler_again)
