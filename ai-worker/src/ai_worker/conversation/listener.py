"""What is made of what the caller says: an interruption, a backchannel, noise, or a turn that is over."""

from __future__ import annotations

from collections.abc import Callable

from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import PROBE
from ai_worker.conversation.context import Context
from ai_worker.conversation.doubt import Doubt, speaks
from ai_worker.conversation.ear import Ear
from ai_worker.conversation.endpointing import words
from ai_worker.conversation.line import Line
from ai_worker.conversation.speaker import Speaker
from ai_worker.conversation.stages import Stages
from ai_worker.conversation.takeover import TakeOver
from ai_worker.conversation.thinker import Thinker
from ai_worker.conversation.utterance import Utterance
from ai_worker.conversation.voicemail import Voicemail

_LONGER_THAN_USUAL = 1.25
"""A pause so much longer than the caller's longest one in this dictation is probably its end."""
_LAST_WORD_S = 0.3
"""So long after the caller's last sound, an STT that tells words as they are spoken has told the last one."""


class Listener:
    """`on_turn` takes a turn of the caller (its text, its beginning and end by the streamer's clock); `on_nothing` is
    called when the caller turns out to have said nothing while the bot was silent.
    """

    def __init__(
        self,
        context: Context,
        ear: Ear,
        speaker: Speaker,
        thinker: Thinker,
        line: Line,
        takeover: TakeOver,
        voicemail: Voicemail,
        *,
        on_turn: Callable[[str, float, float], None],
        on_nothing: Callable[[], None],
    ) -> None:
        self._context = context
        self._timers = context.timers
        self._ear = ear
        self._speaker = speaker
        self._thinker = thinker
        self._line = line
        self._takeover = takeover
        self._voicemail = voicemail
        self._doubt = Doubt(context)
        self._on_turn = on_turn
        self._on_nothing = on_nothing
        self._reprompted = False

    def turn_taken(self) -> None:
        """The caller has the turn: what he does next is judged afresh."""
        if self._speaker.reply:
            self._doubt.interrupted()
        self._reprompted = False

    def speech_started(self, event: ev.SpeechStarted) -> None:
        if self._line.leaving:
            return
        self._ear.started(event)
        self._timers.cancel("turn", "guess", "silence", "transcribing", "interruption")
        if (utterance := self._ear.utterance) and speaks(self._speaker.reply):
            utterance.over_bot = True
        self._look_into_it(self._context.options.sound_without_end)
        self._await_end_of_words()

    @property
    def bound(self) -> bool:
        """Whether what the bot is saying can't be interrupted (yet)."""
        if reply := self._speaker.reply:
            return not reply.interruptible
        at_will = self._context.persona.allow_interruptions
        return self._takeover.under_way and (self._context.history.must_be_heard or not at_will)

    def hear_out(self) -> None:
        """The bot can be interrupted again: what the caller said meanwhile counts from now on."""
        utterance = self._ear.utterance
        if utterance and self._ear.busy:
            self._hush()
            self._speaker.stages = Stages()
            if utterance.text and not self._ear.speaking:
                self._timers.set("turn", self._ear.turn_ends_at(utterance))

    def speech_sustained(self, _event: ev.SpeechSustained) -> None:
        if not self._ear.utterance or self.bound:
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
        else:
            self._line.stop_file()
            self._takeover.hush()

    def _look_into_it(self, after: float) -> None:
        """If the sound goes on for so long, ask what is said in it."""
        if self._ear.speaking:
            self._context.after("sound", after)

    def speech_paused(self, _event: ev.SpeechPaused) -> None:
        self._ear.pausing = self._ear.utterance is not None
        self._guess_early()

    def speech_faded(self, event: ev.SpeechFaded) -> None:
        self._ear.faded(event.end_ms)
        self._guess_early()
        self._await_end_of_words()

    def speech_back(self, _event: ev.SpeechBack) -> None:
        self._ear.back()
        self._await_end_of_words()

    def _rest_of_silence(self, utterance: Utterance, text: str, otherwise: float) -> float:
        """How much longer nothing must be added to these words; `otherwise`, while the caller's voice is heard."""
        if utterance.faded_ms is None:
            return otherwise
        return max(0.0, utterance.at(utterance.faded_ms) + self._ear.silence_needed(text) - self._context.now)

    def no_words_yet(self) -> None:
        """The bot fell silent for a sound, and its words are late: it goes on, unless some are known already."""
        utterance = self._ear.utterance
        if not (utterance and self._doubt.interrupts(utterance.text_so_far, utterance)):
            self._speaker.resume()

    def partial(self, event: ev.Partial) -> None:
        utterance = self._ear.heard(event)
        if utterance is None:
            return
        reply, text = self._speaker.reply, utterance.text_so_far
        if speaks(reply) and not self.bound and self._ear.speaking and self._doubt.interrupts(text, utterance):
            self._hush()
        self._guess_early()
        self._await_end_of_words()

    def _await_end_of_words(self) -> None:
        """Words were said, and the sound goes on: if no word more comes, they were all."""
        utterance, reply, options = self._ear.utterance, self._speaker.reply, self._context.options
        if utterance is None or not self._ear.speaking or (reply and not reply.paused):
            return
        text = utterance.text_so_far
        if not words(text):
            if utterance.faded_ms is not None and utterance.probed is None:
                # The caller may have finished. Where words are not told as they are spoken, they are asked for.
                self._look_into_it(options.unsure_silence)
            return
        utterance.probed = utterance.partial or utterance.probed
        long = max(self._ear.silence_needed(text) + options.unsure_silence, options.sound_with_words)
        self._look_into_it(self._rest_of_silence(utterance, text, long))

    def _guess_early(self) -> None:
        """The caller pauses, and the words so far are a whole thought: the final ones will hardly be others."""
        utterance, reply = self._ear.utterance, self._speaker.reply
        if utterance is None or not self._ear.pausing or utterance.words is not None:
            return
        if utterance.awaits_parts or not utterance.partial:
            return  # of one of its parts, nothing is known
        text, options = utterance.text_so_far, self._context.options.endpointing
        held = reply is None or reply.paused
        # After a tenth of a second only a whole sentence is worth a guess: there are such pauses between words.
        enough = options.complete if self._ear.speaking else options.unclear
        if text and held and not self.bound and self._ear.silence_needed(text) <= enough:
            self._thinker.guess(text)

    def speech_stopped(self, event: ev.SpeechStopped) -> None:
        if not self._ear.stopped(event):
            return
        if self._speaker.reply and self._speaker.reply.paused:
            self._context.after("interruption", self._context.options.false_interruption)
        if utterance := self._ear.utterance:
            self._timers.set("guess", utterance.stopped_at + _LAST_WORD_S)

    def transcribed(self, event: ev.Transcribed) -> None:
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
            elif self._ear.ended_in_noise and not self.bound:
                self._ear.close()
                self._speaker.stages = Stages()
                self._on_turn(utterance.earlier_text, utterance.started_at, self._context.now)
            return
        if not utterance.understood:
            return
        self._timers.cancel("transcribing", "interruption")
        if not utterance.text:
            self._nothing_said()
        elif self._doubt.is_echo(utterance.text, utterance):
            self._context.note(f"echo: {utterance.text}")
            self._nothing_said(ask_again=False)
        elif reply and reply.heard and self._doubt.stops_nobody(utterance.text, utterance):
            # Kept: should the bot fall silent in a moment, it was an answer.
            utterance.backchannel = True
            self._context.note(f"{'perhaps an echo' if utterance.echoes else 'backchannel'}: {utterance.text}")
            if utterance.echoes and reply.paused:
                self._doubt.false_alarm()
            self._speaker.resume()
        elif self.bound:
            self._speaker.resume()
        else:
            self._speaker.pause()
            self._speaker.stages.understood(utterance, self._context.now)
            self._timers.set("turn", self._ear.turn_ends_at(utterance))
            self.guess()

    def guess(self) -> None:
        """The turn ends in a moment, unless the caller goes on: the answer is begun meanwhile."""
        utterance = self._ear.utterance
        if utterance is None or not self._timers.running("turn"):
            self._guess_early()
            return
        ends_at, now = self._ear.turn_ends_at(utterance), self._context.now
        # Whoever dictates will probably go on: no guess is wasted on each pause.
        begin = ends_at - self._context.options.guess_ahead
        if utterance.pauses and self._ear.dictating(utterance.text):
            begin = max(begin, utterance.stopped_at + _LONGER_THAN_USUAL * max(utterance.pauses))
        if now < begin:
            self._timers.set("guess", begin)
        elif now < ends_at:
            self._thinker.guess(utterance.text)

    def turn_judged(self, event: ev.TurnJudged) -> None:
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
        elif self.bound or not text or words(text) != words(known or ""):
            utterance.doubtful = utterance.doubtful and not text
            if text and not self.bound:
                self._hush()
            self._look_into_it(
                self._rest_of_silence(utterance, text, options.sound_again) if text else options.sound_again
            )
        else:
            # Nothing was added since the last time: the caller has finished, and something else goes on.
            whole = " ".join(filter(None, [utterance.earlier_text, text]))
            self._ear.begin_anew()
            self._look_into_it(options.sound_without_end)
            self._speaker.stages = Stages()
            self._on_turn(whole, utterance.started_at, self._context.now)

    def transcribe_failed(self, event: ev.TranscribeFailed) -> None:
        if event.revision == PROBE:
            self._look_into_it(self._context.options.sound_without_end)
        elif self._ear.awaits(event.utterance, event.revision):
            self.not_understood(event.reason)

    def not_understood(self, reason: str) -> None:
        self._timers.cancel("transcribing", "interruption")
        self._ear.close()
        self._context.note(f"speech-to-text failed: {reason}")
        if self._line.leaving or self.bound:
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
            self._on_nothing()

    def turn_over(self) -> None:
        utterance = self._ear.utterance
        if utterance is None or not utterance.text or self._ear.speaking or self.bound:
            return
        self._ear.close()
        self._speaker.stages.turn_over(self._context.now)
        self._on_turn(utterance.text, utterance.ended_at - utterance.length_s, utterance.ended_at)
