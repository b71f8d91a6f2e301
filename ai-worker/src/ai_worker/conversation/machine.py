"""The conversation: joins the caller's ear, the bot's speaker, the line and the timers into turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import PROBE, Action, Finish
from ai_worker.conversation.context import Context
from ai_worker.conversation.doubt import Doubt, speaks
from ai_worker.conversation.ear import Ear
from ai_worker.conversation.endpointing import is_backchannel, words
from ai_worker.conversation.history import History
from ai_worker.conversation.keypad import Keypad
from ai_worker.conversation.line import Line
from ai_worker.conversation.persona import Persona, TurnTaking
from ai_worker.conversation.speaker import Speaker
from ai_worker.conversation.stages import Stages
from ai_worker.conversation.takeover import TakeOver
from ai_worker.conversation.voicemail import Voicemail
from callbus import transcript

FAILED = "failed"


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
        self._line = Line(self._context)
        self._ear = Ear(self._context)
        self._doubt = Doubt(self._context)
        self._keypad = Keypad(self._context)
        self._speaker = Speaker(self._context, self._line, self._ear, self._bot_silent)
        self._takeover = TakeOver(self._context, self._line, self._speaker, self._bot_silent)
        self._voicemail = Voicemail(self._context, self._line, self._speaker, self._ear)
        self._prompts = 0
        self._silent_until = 0.0
        self._reprompted = False
        self._was_bound = False
        self.finished = False
        speaker = self._speaker
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.Begin: self._begin,
            ev.SpeechStarted: self._speech_started,
            ev.SpeechSustained: self._speech_sustained,
            ev.SpeechPaused: self._speech_paused,
            ev.SpeechStopped: self._speech_stopped,
            ev.Partial: self._partial,
            ev.Transcribed: self._transcribed,
            ev.TranscribeFailed: self._transcribe_failed,
            ev.TurnJudged: self._turn_judged,
            ev.ReplyText: speaker.heed,
            ev.ReplyDone: speaker.heed,
            ev.ReplyFailed: speaker.heed,
            ev.ToolAsked: speaker.heed,
            ev.ToolDone: speaker.tool_done,
            ev.FirstSound: speaker.first_sound,
            ev.WordTimed: speaker.word_timed,
            ev.Synthesised: speaker.synthesised,
            ev.SynthesisFailed: speaker.synthesis_failed,
            ev.Played: self._played,
            ev.Pressed: self._pressed,
            ev.Beep: lambda _: None,
            ev.ActionDone: self._action_done,
            ev.ActionRefused: self._action_refused,
            ev.MediaReturned: self._media_returned,
            ev.CallEnded: self._call_ended,
            ev.Tick: lambda _: None,
        }
        self._on_timer: dict[str, Callable[[], None]] = {
            "turn": self._turn_over,
            "transcribing": lambda: self._not_understood("no answer in time"),
            "monologue": self._ear.divide,
            "interruption": self._no_words_yet,
            "sound": self._ear.probe,
            "settling": speaker.ask,
            "thinking": speaker.thinking_too_long,
            "filler": speaker.fill,
            "tools": speaker.tools_too_long,
            "speaking": speaker.no_news,
            "silence": self._caller_silent,
            "keys": self._keys_complete,
            "acting": self._no_answer_from_the_line,
            "leaving": lambda: self._finish(self._line.outcome or FAILED, "the media connection stayed open"),
            "longest": self._too_long,
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
    def wants_beeps(self) -> bool:
        """Whether pure tones on the caller's side are to be told of."""
        return self._voicemail.wants_beeps

    @property
    def history(self) -> History:
        return self._context.history

    @property
    def next_wake(self) -> float | None:
        """When `handle` wants to be called with a Tick, if nothing else happens before."""
        return None if self.finished else self._timers.next()

    def handle(self, event: ev.Event, now: float) -> list[Action]:
        """What is to be done about `event`, and about the timers that are due by `now`."""
        self._context.out = []
        if not self.finished:
            self._context.now = max(self._context.now, now)
            # The event first: one that came in time is not undone by a timer that is only noticed now.
            self._voicemail.notice(event)
            self._handlers[type(event)](event)
            while name := self._timers.pop_due(self._context.now):
                self._on_timer[name]()
            if self._was_bound and not self._bound:
                self._hear_out()
            self._was_bound = self._bound
            if not (self._timers.running("turn") or self._ear.awaits_words):
                self._speaker.forget_guess()
        return self._context.out

    # --- the call begins, comes back, ends

    def _begin(self, event: ev.Begin) -> None:
        self._voicemail.begin()
        self._context.after("longest", max(0.0, self._context.persona.longest_call_s - event.elapsed))
        if self.history.finished:
            self._end(self.history.outcome or FAILED, "finished by another worker")
        elif self.history.outcome:
            self._leave()
        elif not self.history.said:
            self._speaker.greet()
        elif not self._voicemail.take_up():
            self._takeover.begin()

    def _media_returned(self, _event: ev.MediaReturned) -> None:
        self._speaker.line_returned()
        self._line.act_again()

    def _call_ended(self, event: ev.CallEnded) -> None:
        self._finish(self._line.outcome or "caller_left", event.reason)

    def _finish(self, outcome: str, reason: str) -> None:
        self._speaker.abandon()
        self._context.write(transcript.Finished(self._context.now, outcome, reason))
        self._end(outcome, reason)

    def _end(self, outcome: str, reason: str) -> None:
        self._timers.clear()
        self._speaker.forget_guess()
        self.finished = True
        self._context.emit(Finish(outcome, reason))

    def _too_long(self) -> None:
        if self._line.leaving:
            return
        self._context.note("the longest duration of a call is reached")
        self._takeover.stop()
        self._speaker.abandon()
        self._ear.close()
        self._timers.clear()
        self._line.closing = True
        self._speaker.say_goodbye()

    # --- the caller speaks

    def _speech_started(self, event: ev.SpeechStarted) -> None:
        if self._line.leaving:
            return
        self._ear.started(event)
        self._timers.cancel("turn", "silence", "transcribing", "interruption")
        if (utterance := self._ear.utterance) and speaks(self._speaker.reply):
            utterance.over_bot = True
        self._look_into_it(self._context.options.sound_without_end)

    @property
    def _bound(self) -> bool:
        """Whether what the bot is saying can't be interrupted (yet)."""
        if reply := self._speaker.reply:
            return not reply.interruptible
        at_will = self._context.persona.allow_interruptions
        return self._takeover.under_way and (self.history.must_be_heard or not at_will)

    def _hear_out(self) -> None:
        """The bot can be interrupted again: what the caller said meanwhile counts from now on."""
        utterance = self._ear.utterance
        going_on = self._speaker.reply is not None or self._takeover.under_way
        if self._line.leaving or not going_on:
            return
        if self._keypad.waiting:
            self._keys_complete()
        elif utterance and self._ear.busy:
            self._hush()
            self._speaker.stages = Stages()
            if utterance.text and not self._ear.speaking:
                self._timers.set("turn", self._ear.turn_ends_at(utterance))

    def _speech_sustained(self, _event: ev.SpeechSustained) -> None:
        if not self._ear.utterance or self._bound:
            return
        if self._doubt.wary and self._speaker.reply:
            # Not for a sound: its words may stop the bot.
            self._look_into_it(self._context.options.false_interruption)
            return
        self._hush()

    def _hush(self) -> None:
        if self._speaker.reply:
            self._speaker.pause()
            self._look_into_it(self._context.options.false_interruption)
        elif self._takeover.under_way:
            self._speaker.silence()

    def _look_into_it(self, after: float) -> None:
        """If the sound goes on for so long, ask what is said in it."""
        if self._ear.speaking:
            self._context.after("sound", after)

    def _speech_paused(self, _event: ev.SpeechPaused) -> None:
        self._ear.pausing = self._ear.utterance is not None
        self._guess_early()

    def _no_words_yet(self) -> None:
        """The bot fell silent for a sound, and its words are late: it goes on, unless some are known already."""
        utterance = self._ear.utterance
        if not (utterance and self._doubt.interrupts(utterance.text_so_far, utterance)):
            self._speaker.resume()

    def _partial(self, event: ev.Partial) -> None:
        utterance = self._ear.heard(event)
        if utterance is None:
            return
        reply, text = self._speaker.reply, utterance.text_so_far
        if speaks(reply) and not self._bound and self._ear.speaking and self._doubt.interrupts(text, utterance):
            self._hush()
        self._guess_early()

    def _guess_early(self) -> None:
        """The caller pauses, and the words so far are a whole thought: the final ones will hardly be others."""
        utterance, reply = self._ear.utterance, self._speaker.reply
        if utterance is None or not self._ear.pausing or utterance.words is not None or utterance.awaits_parts:
            return
        text, options = utterance.text_so_far, self._context.options.endpointing
        held = reply is None or reply.paused
        # After a tenth of a second only a whole sentence is worth a guess: there are such pauses between words.
        enough = options.complete if self._ear.speaking else options.unclear
        if text and held and not self._bound and self._ear.silence_needed(text) <= enough:
            self._speaker.guess(text)

    def _speech_stopped(self, event: ev.SpeechStopped) -> None:
        if self._ear.stopped(event) and self._speaker.reply and self._speaker.reply.paused:
            self._context.after("interruption", self._context.options.false_interruption)

    def _transcribed(self, event: ev.Transcribed) -> None:
        if event.revision == PROBE:
            self._probed(event)
            return
        utterance = self._ear.understood(event)
        if utterance is None:
            return
        reply = self._speaker.reply
        if self._line.leaving:
            self._ear.close()
            return
        if self._voicemail.recognises(utterance):
            return
        if self._ear.speaking:
            # Half a minute of sound without a word: behave as if nobody spoke (any more).
            if self._ear.noisy:
                self._nothing_said()
            elif self._ear.ended_in_noise and not self._bound:
                self._ear.close()
                self._speaker.stages = Stages()
                self._caller_turn(utterance.earlier_text, utterance.started_at, self._context.now)
            return
        if not utterance.understood:
            return
        self._timers.cancel("transcribing", "interruption")
        if not utterance.text:
            self._nothing_said()
        elif self._doubt.echoed(utterance.text, utterance):
            self._context.note(f"echo: {utterance.text}")
            self._nothing_said(ask_again=False)
        elif reply and reply.heard and is_backchannel(utterance.text, self._context.persona.language):
            # Kept: should the bot fall silent in a moment, it was an answer.
            utterance.backchannel = True
            self._context.note(f"backchannel: {utterance.text}")
            self._speaker.resume()
        elif self._bound:
            self._speaker.resume()
        else:
            self._speaker.pause()
            self._speaker.stages.understood(utterance, self._context.now)
            self._timers.set("turn", self._ear.turn_ends_at(utterance))
            self._guess()

    def _guess(self) -> None:
        """The turn ends in a moment, unless the caller goes on: the answer is begun meanwhile."""
        utterance = self._ear.utterance
        if utterance and self._timers.running("turn") and self._context.now < self._ear.turn_ends_at(utterance):
            self._speaker.guess(utterance.text)

    def _turn_judged(self, event: ev.TurnJudged) -> None:
        if (utterance := self._ear.judged(event)) and self._timers.running("turn"):
            self._timers.set("turn", self._ear.turn_ends_at(utterance))

    def _probed(self, event: ev.Transcribed) -> None:
        """The sound goes on: is there anybody in it? Has he finished?"""
        utterance, options = self._ear.utterance, self._context.options
        if utterance is None or utterance.id != event.utterance or not self._ear.speaking or self._line.leaving:
            return
        reply, text = self._speaker.reply, event.text.strip()
        known, utterance.probed = utterance.probed, text
        if reply and not self._doubt.interrupts(text, utterance):
            if reply.paused:
                self._nothing_said()
            self._look_into_it(options.sound_without_end)
        elif self._bound or not text or words(text) != words(known or ""):
            utterance.doubtful = utterance.doubtful and not text
            if text and not self._bound:
                self._hush()
            self._look_into_it(options.sound_again)
        else:
            # Nothing was added since the last time: the caller has finished, and something else goes on.
            whole = " ".join(filter(None, [utterance.earlier_text, text]))
            self._ear.begin_anew()
            self._look_into_it(options.sound_without_end)
            self._speaker.stages = Stages()
            self._caller_turn(whole, utterance.started_at, self._context.now)

    def _transcribe_failed(self, event: ev.TranscribeFailed) -> None:
        if event.revision == PROBE:
            self._look_into_it(self._context.options.sound_without_end)
        elif self._ear.awaits(event.utterance, event.revision):
            self._not_understood(event.reason)

    def _not_understood(self, reason: str) -> None:
        self._timers.cancel("transcribing", "interruption")
        self._ear.close()
        self._context.note(f"speech-to-text failed: {reason}")
        if self._line.leaving or self._bound:
            self._speaker.resume()
            return
        self._takeover.stop()
        self._speaker.abandon()
        self._speaker.apologise(self._context.persona.reprompt)

    def _nothing_said(self, *, ask_again: bool = True) -> None:
        """Noise, a cough, nothing the STT could make words of: what the bot was doing goes on."""
        utterance, reply = self._ear.utterance, self._speaker.reply
        self._ear.close_unless_speaking()
        if reply:
            if reply.paused:
                self._doubt.false_alarm()
                self._context.note("false interruption")
            self._speaker.resume()
        elif self._takeover.under_way or self._line.leaving:
            return
        elif ask_again and utterance and self._ear.unclear(utterance) and not self._reprompted:
            self._reprompted = True
            self._speaker.speak(self._context.persona.reprompt)
        else:
            self._arm_silence()

    def _turn_over(self) -> None:
        utterance = self._ear.utterance
        if utterance is None or not utterance.text or self._ear.speaking or self._bound:
            return
        self._ear.close()
        self._speaker.stages.turn_over(self._context.now)
        self._caller_turn(utterance.text, utterance.ended_at - utterance.length_s, utterance.ended_at)

    def _caller_turn(self, text: str, started_at: float, ended_at: float) -> None:
        self._takeover.stop()
        if self._speaker.reply:
            self._doubt.interrupted()
        self._speaker.abandon()
        self._timers.cancel("silence", "interruption")
        self._prompts = 0
        self._reprompted = False
        self.history.turn += 1
        self.history.caller(text)
        self._context.write(transcript.CallerSaid(ended_at, started_at, self.history.turn, text, ""))
        if 0 < self._context.persona.most_turns < self.history.turn:
            self._context.note("the most turns of a call are reached")
            self._speaker.say_goodbye()
        elif self._voicemail.repeats(text):
            self._context.note("the caller says the same again and again, word for word")
            self._speaker.say_goodbye()
        else:
            self._speaker.answer(text)

    def _pressed(self, event: ev.Pressed) -> None:
        if not self._line.leaving and self._keypad.press(event.digit):
            self._keys_complete()

    def _keys_complete(self) -> None:
        if self._line.leaving or self._bound:
            return
        keys, now = self._keypad.take(), self._context.now
        self._context.write(transcript.CallerPressed(now, keys))
        self._speaker.stages = Stages()
        self._caller_turn(f"(pressed {keys})", now, now)

    # --- nobody speaks

    def _played(self, event: ev.Played) -> None:
        self._speaker.played(event)
        self._takeover.played(event)
        self._guess()

    def _bot_silent(self) -> None:
        self._silent_until = self._context.now + self._context.options.silence_prompt
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
        self._arm_silence()

    def _arm_silence(self) -> None:
        if not (self._speaker.reply or self._ear.busy or self._line.leaving or self._keypad.digits):
            context = self._context
            self._timers.set("silence", max(self._silent_until, context.now + context.options.after_noise))

    def _caller_silent(self) -> None:
        if self._speaker.reply or self._ear.busy or self._line.leaving:
            return
        prompts = self._context.persona.silence_prompts
        if self._prompts < len(prompts):
            self._prompts += 1
            self._speaker.speak(prompts[self._prompts - 1])
        else:
            self._context.note("the caller stayed silent")
            self._speaker.say_goodbye()

    # --- the line

    def _action_done(self, event: ev.ActionDone) -> None:
        if not self._line.done(event.action_id):
            return
        if self._line.outcome:
            self._leave()
        else:
            self._bot_silent()

    def _action_refused(self, event: ev.ActionRefused) -> None:
        if action := self._line.refused(event.action_id):
            self._context.note(f"{action.kind} refused: {event.reason}")
            self._speaker.refused(action, event.reason)

    def _leave(self) -> None:
        """The bot has left the call: whatever is under way, nothing but its end is waited for."""
        self._timers.clear()
        self._context.after("leaving", self._context.options.leaving_limit)

    def _no_answer_from_the_line(self) -> None:
        if not self._line.act_again():
            self._finish(FAILED, "the streamer did not answer")
