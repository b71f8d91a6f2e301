"""An answering machine is on the line: known by its words, its beep, its repetitions; hung up on, or left a message."""

from __future__ import annotations

from ai_worker.conversation import events as ev
from ai_worker.conversation.context import Context
from ai_worker.conversation.ear import Ear
from ai_worker.conversation.line import Line
from ai_worker.conversation.persona import Scripted
from ai_worker.conversation.recorded import bare, recorded_words
from ai_worker.conversation.scripted import protect
from ai_worker.conversation.speaker import Speaker
from ai_worker.conversation.utterance import Utterance
from callbus import transcript

FIRST_TURNS = 2
"""Machines say what they are at once; a caller who speaks of one later is a person."""
EARLY_S = 60.0
"""A beep counts for so long after the call began."""
GREETING_S = 3.0
"""Speech before a beep that makes it a machine's, when it began within `BEGINS_WITHIN_S`."""
BEGINS_WITHIN_S = 8.0
REPETITIONS = 3
"""Times in a row that the same long sentence is heard; people don't find the same words again."""
LONG_WORDS = 6
MOST_MESSAGES = 2
"""A message that was begun before the beep is said again after it."""


class Voicemail:
    """Once a machine is `heard`, nothing that it says is answered. Does nothing for a persona without a plan for it."""

    def __init__(self, context: Context, line: Line, speaker: Speaker, ear: Ear) -> None:
        self._context = context
        self._line = line
        self._speaker = speaker
        self._ear = ear
        self._plan = context.persona.voicemail
        self._begun = 0.0
        self._first_speech: float | None = None
        self._speech_s = 0.0
        self._since: float | None = None
        self._messages = 0
        self.heard = context.history.machine

    @property
    def wants_beeps(self) -> bool:
        """Whether a beep would mean something now."""
        if self._plan is None or self._line.outcome or self._context.history.muted:
            return False
        early = self._context.now - self._begun < EARLY_S
        return self.heard or (early and self._context.history.turn <= FIRST_TURNS)

    def begin(self) -> None:
        """The call begins, for this worker."""
        self._begun = self._context.now

    def take_up(self) -> bool:
        """Go on with a machine that another worker has recognised; False when there is none, or all was said."""
        if not self.heard or self._plan is None:
            return False
        self._line.closing = True
        history = self._context.history
        if history.pending and (history.pending.asked or history.announced):
            return False
        self._line.drop()
        self._wait()
        return True

    def notice(self, event: ev.Event) -> None:
        """Follow the caller's side."""
        now = self._context.now
        match event:
            case ev.SpeechStarted():
                self._since = now - event.speech_ms / 1000
                self._first_speech = self._since if self._first_speech is None else self._first_speech
                self._context.timers.cancel("machine silent")
            case ev.SpeechStopped() if self._since is not None:
                self._speech_s += max(0.0, now - event.silence_ms / 1000 - self._since)
                self._since = None
                if self.heard and not self._messages:
                    self._context.after("machine silent", self._context.options.message_after)
            case ev.Beep():
                self._beep()
            case _:
                pass

    def recognises(self, utterance: Utterance) -> bool:
        """Whether these words are a machine's; then it is dealt with."""
        history = self._context.history
        if self._plan is None or self.heard or history.muted or history.turn >= FIRST_TURNS:
            return False
        text = utterance.text or utterance.earlier_text
        sign = recorded_words(text)
        if sign:
            self._recognised(sign, text, utterance.started_at)
        return bool(sign)

    def repeats(self, text: str) -> bool:
        """Whether the caller's turn is, word for word, what the turns before it were: two machines talk in circles."""
        if self._plan is None or len(text.split()) < LONG_WORDS:
            return False
        turns = [item for item in self._context.history.said if isinstance(item, str)][-REPETITIONS:]
        return len(turns) == REPETITIONS and len({bare(turn) for turn in turns}) == 1

    def leave_message(self) -> None:
        """It records now, or it has fallen silent and perhaps does."""
        pending = self._context.history.pending
        leaving = self._line.outcome is not None or (pending is not None and pending.asked)
        if self._plan is None or leaving or self._messages >= MOST_MESSAGES:
            return
        self._context.timers.cancel("machine silent", "machine talks on")
        self._messages += 1
        self._speaker.abandon()
        self._speaker.perform(Scripted(protect(self._plan.message), "hangup"))

    def _beep(self) -> None:
        begins = self._first_speech
        greeted = begins is not None and begins - self._begun < BEGINS_WITHIN_S and self._speech_s >= GREETING_S
        if self.heard:
            self.leave_message()
        elif self._plan is not None and self.wants_beeps and greeted:
            utterance = self._ear.utterance
            text = (utterance.text or utterance.earlier_text) if utterance else ""
            self._recognised("a beep after its greeting", text, begins or 0.0)
            self.leave_message()

    def _recognised(self, sign: str, text: str, started_at: float) -> None:
        context = self._context
        self.heard = True
        self._speaker.abandon()
        self._ear.close()
        context.timers.clear()
        self._line.closing = True
        context.write(transcript.MachineHeard(context.now, sign))
        if text:
            context.history.turn += 1
            context.history.caller(text)
            context.write(transcript.CallerSaid(context.now, started_at, context.history.turn, text, ""))
        self._wait()

    def _wait(self) -> None:
        """For the beep; or for silence, for not all machines beep; but not for ever."""
        if self._plan is None or not self._plan.message:
            self.leave_message()
            return
        options = self._context.options
        self._context.after("machine talks on", options.machine_limit)
        if self._since is None:
            self._context.after("machine silent", options.message_after)
