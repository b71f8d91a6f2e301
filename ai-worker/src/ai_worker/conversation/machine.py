"""The conversation: joins the caller's ear, the bot's thinker and speaker, the line and the timers into turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ai_worker.conversation import events as ev
from ai_worker.conversation import operator
from ai_worker.conversation.actions import Action
from ai_worker.conversation.context import Context
from ai_worker.conversation.ear import Ear
from ai_worker.conversation.ending import Ending
from ai_worker.conversation.history import History
from ai_worker.conversation.keypad import Keypad
from ai_worker.conversation.line import Line
from ai_worker.conversation.listener import Listener
from ai_worker.conversation.mouth import Mouth
from ai_worker.conversation.operator import Operator
from ai_worker.conversation.persona import Persona, TurnTaking
from ai_worker.conversation.silence import Silence
from ai_worker.conversation.speaker import Speaker
from ai_worker.conversation.stages import Stages
from ai_worker.conversation.takeover import TakeOver
from ai_worker.conversation.thinker import Thinker
from ai_worker.conversation.tooluse import ToolUse
from ai_worker.conversation.voicemail import Voicemail
from callbus import transcript


class Conversation:
    """Feed it events and the time with `handle`, carry out the actions in order, and wake it at `next_wake`.

    Times are s on one clock that never goes back and reads like epoch seconds. `history` is another worker's, after a
    take-over; `prefix` makes the ids of sentences and actions unlike those of any other worker of this call.
    """

    def __init__(
        self, persona: Persona, options: TurnTaking | None = None, *, history: History | None = None, prefix: str = "1"
    ) -> None:
        self._context = Context(persona, options or TurnTaking(), history or History(), prefix)
        self._timers = self._context.timers
        self._tools = ToolUse(self._context)
        self._line = Line(self._context, self._tools)
        self._ear = Ear(self._context)
        self._keypad = Keypad(self._context)
        mouth = Mouth(self._context)
        self._speaker = Speaker(self._context, self._line, self._ear, mouth, self._bot_silent)
        self._thinker = Thinker(self._context, self._line, mouth, self._speaker, self._tools)
        self._silence = Silence(self._context, self._line, self._ear, self._keypad, self._speaker, self._tools)
        self._takeover = TakeOver(self._context, self._line, mouth, self._thinker, self._nothing_to_go_on_with)
        self._ending = Ending(self._context, self._line, self._ear, self._speaker, self._thinker, self._takeover)
        self._voicemail = Voicemail(self._context, self._line, self._speaker, self._ear)
        self._operator = Operator(
            self._context, self._line, self._ear, self._speaker, self._thinker, self._takeover, self._bot_silent
        )
        self._listener = Listener(
            self._context,
            self._ear,
            self._speaker,
            self._thinker,
            self._line,
            self._takeover,
            self._voicemail,
            on_turn=self._caller_turn,
            on_nothing=self._silence.wait,
        )
        self._was_bound = False
        self._deaf_meanwhile = False
        """Whether the caller may have said something unheard before this worker had taken over."""
        speaker, thinker, listener = self._speaker, self._thinker, self._listener
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.Begin: self._begin,
            ev.SpeechStarted: listener.speech_started,
            ev.SpeechSustained: listener.speech_sustained,
            ev.SpeechPaused: listener.speech_paused,
            ev.SpeechFaded: listener.speech_faded,
            ev.SpeechBack: listener.speech_back,
            ev.SpeechStopped: listener.speech_stopped,
            ev.Partial: listener.partial,
            ev.Transcribed: listener.transcribed,
            ev.TranscribeFailed: listener.transcribe_failed,
            ev.TurnJudged: listener.turn_judged,
            ev.ReplyText: thinker.heed,
            ev.ReplyDone: thinker.heed,
            ev.ReplyFailed: thinker.heed,
            ev.ToolAsked: thinker.heed,
            ev.ToolDone: thinker.tool_done,
            ev.FirstSound: speaker.first_sound,
            ev.WordTimed: speaker.word_timed,
            ev.Synthesised: speaker.synthesised,
            ev.SynthesisFailed: speaker.synthesis_failed,
            ev.Played: self._played,
            ev.Pressed: self._pressed,
            ev.Beep: lambda _: None,
            ev.ActionDone: self._action_done,
            ev.ActionRefused: self._action_refused,
            ev.OperatorAsked: self._operator.asked,
            ev.AudioLost: self._audio_lost,
            ev.MediaReturned: self._media_returned,
            ev.CallEnded: self._ending.call_ended,
            ev.Tick: lambda _: None,
        }
        self._on_timer: dict[str, Callable[[], None]] = {
            "turn": listener.turn_over,
            "guess": listener.guess,
            "transcribing": lambda: listener.not_understood("no answer in time"),
            "monologue": self._ear.divide,
            "interruption": listener.no_words_yet,
            "sound": self._ear.probe,
            "settling": thinker.ask,
            "thinking": thinker.thinking_too_long,
            "filler": thinker.fill,
            "tools": thinker.tools_too_long,
            "speaking": speaker.no_news,
            "silence": self._silence.too_long,
            "keys": self._keys_complete,
            "acting": self._ending.no_answer_from_the_line,
            "leaving": self._ending.left_too_long_ago,
            "longest": self._ending.too_long,
            "resuming": self._takeover.go_on,
            "machine silent": self._voicemail.leave_message,
            "machine talks on": self._voicemail.leave_message,
        }

    @property
    def state(self) -> str:
        """One word for people who watch: listening, thinking, speaking, leaving."""
        if self._line.leaving:
            return "leaving"
        if self._takeover.under_way:
            return "thinking"
        reply = self._speaker.reply
        if reply is None or reply.paused:
            return "listening"
        return "speaking" if reply.heard else "thinking"

    @property
    def finished(self) -> bool:
        """Whether the call is over; then nothing is done any more."""
        return self._ending.finished

    @property
    def muted(self) -> bool:
        """Whether an operator has told the bot to be silent."""
        return self.history.muted

    @property
    def wants_beeps(self) -> bool:
        """Whether pure tones on the caller's side are to be told of."""
        return self._voicemail.wants_beeps

    @property
    def history(self) -> History:
        return self._context.history

    @property
    def next_wake(self) -> float | None:
        """When `handle` wants to be called with a Tick, if nothing else happens before."""
        return None if self._ending.finished else self._timers.next()

    def handle(self, event: ev.Event, now: float) -> list[Action]:
        """What is to be done about `event`, and about the timers that are due by `now`."""
        self._context.out = []
        if not self._ending.finished:
            self._context.now = max(self._context.now, now)
            # The event first: one that came in time is not undone by a timer that is only noticed now.
            self._voicemail.notice(event)
            self._handlers[type(event)](event)
            while name := self._timers.pop_due(self._context.now):
                self._on_timer[name]()
            if self._was_bound and not self._listener.bound:
                self._hear_out()
            self._was_bound = self._listener.bound
            if self._tools.news and self._silence.nobody_busy:
                self._speaker.stages = Stages()
                self._thinker.answer("")
            if not (self._timers.running("turn") or self._ear.awaits_words):
                self._thinker.forget_guess()
        return self._context.out

    # --- the call begins, comes back

    def _begin(self, event: ev.Begin) -> None:
        self._voicemail.begin()
        if self._ending.begin(event.elapsed):
            return
        if self.history.muted:
            self._takeover.begin()
            self._takeover.stop()
        elif not self.history.said:
            self._speaker.greet()
        elif not self._voicemail.take_up():
            self._takeover.begin()

    def _media_returned(self, _event: ev.MediaReturned) -> None:
        self._speaker.line_returned()
        self._line.act_again()
        self._nobody_heard_the_caller()

    def _audio_lost(self, event: ev.AudioLost) -> None:
        self._context.note(f"{event.ms} ms of the caller's audio were lost")
        if event.ms >= 1000 * self._context.options.lost_audio:
            self._nobody_heard_the_caller()

    def _nobody_heard_the_caller(self) -> None:
        if self._takeover.under_way:
            self._deaf_meanwhile = True
        elif not self.history.machine:
            self._silence.line_was_dead()

    def _nothing_to_go_on_with(self) -> None:
        self._bot_silent()
        if self._deaf_meanwhile:
            self._nobody_heard_the_caller()

    # --- the caller's turn

    def _hear_out(self) -> None:
        """The bot can be interrupted again: what the caller pressed or said meanwhile counts from now on."""
        going_on = self._speaker.reply is not None or self._takeover.under_way
        if self._line.leaving or not going_on:
            return
        if self._keypad.waiting:
            self._keys_complete()
        else:
            self._listener.hear_out()

    def _caller_turn(self, text: str, started_at: float, ended_at: float) -> None:
        self._takeover.stop()
        self._listener.turn_taken()
        operators_words = self._operator.held_back
        self._speaker.abandon()
        self._timers.cancel("interruption")
        self._silence.broken()
        self.history.turn += 1
        self.history.caller(text)
        self._context.write(transcript.CallerSaid(ended_at, started_at, self.history.turn, text, ""))
        if self._operator.answers(operators_words):
            return
        if 0 < self._context.persona.most_turns < self.history.turn:
            self._context.note("the most turns of a call are reached")
            self._ending.take_leave()
        elif self._voicemail.repeats(text):
            self._context.note("the caller says the same again and again, word for word")
            self._ending.take_leave()
        else:
            self._thinker.answer(text)

    def _pressed(self, event: ev.Pressed) -> None:
        if not self._line.leaving and self._keypad.press(event.digit):
            self._keys_complete()

    def _keys_complete(self) -> None:
        if self._line.leaving or self._listener.bound:
            return
        keys, now = self._keypad.take(), self._context.now
        self._context.write(transcript.CallerPressed(now, keys))
        self._speaker.stages = Stages()
        self._caller_turn(f"(pressed {keys})", now, now)

    # --- nobody speaks

    def _played(self, event: ev.Played) -> None:
        self._speaker.played(event)
        if not self.history.unsettled:
            self._thinker.ask()
        self._takeover.played(event)
        self._listener.guess()

    def _bot_silent(self) -> None:
        utterance = self._ear.utterance
        if utterance and utterance.backchannel and not self._ear.answers_late(utterance):
            self._ear.close()
        elif utterance and utterance.text and not self._ear.speaking:
            # Said over the bot's last words, or while it could not be interrupted.
            utterance.backchannel = False
            self._speaker.stages = Stages()
            self._timers.set("turn", self._ear.turn_ends_at(utterance))
        if self._keypad.waiting:
            self._keys_complete()
        self._silence.begin()

    # --- the line

    def _action_done(self, event: ev.ActionDone) -> None:
        if not self._line.done(event.action_id):
            return
        if self._line.outcome:
            self._ending.leave()
        elif self.history.pending and not self._speaker.reply:
            self._speaker.announce(self.history.pending)
        else:
            self._bot_silent()

    def _action_refused(self, event: ev.ActionRefused) -> None:
        if action := self._line.refused(event.action_id, event.reason):
            self._context.note(f"{action.kind} refused: {event.reason}")
            if operator.wanted(action):
                self._bot_silent()
            else:
                self._speaker.not_possible()
