"""Nobody speaks: the caller is asked whether he is still there, and taken leave of when he does not answer."""

from __future__ import annotations

from ai_worker.conversation.context import Context
from ai_worker.conversation.ear import Ear
from ai_worker.conversation.keypad import Keypad
from ai_worker.conversation.line import Line
from ai_worker.conversation.speaker import Speaker
from ai_worker.conversation.tooluse import ToolUse


class Silence:
    """Waits while neither side does anything: the timer `silence`. While a tool is at work, it is the bot that is
    waited for: it says so from time to time."""

    def __init__(
        self, context: Context, line: Line, ear: Ear, keypad: Keypad, speaker: Speaker, tools: ToolUse
    ) -> None:
        self._context = context
        self._line = line
        self._ear = ear
        self._keypad = keypad
        self._speaker = speaker
        self._tools = tools
        self._prompts = 0
        self._patient_until = 0.0
        self._missed = False
        """Whether the caller may have said something that nobody heard."""

    def broken(self) -> None:
        """The caller has taken the turn: from now on he may be asked again."""
        self._context.timers.cancel("silence")
        self._prompts = 0
        self._missed = False

    def line_was_dead(self) -> None:
        """For a while nobody could hear the caller: if it was his turn, he is not left to wait for an answer."""
        if not self._speaker.reply:
            self._missed = True
            self.wait()

    def begin(self) -> None:
        """The bot has finished speaking: the caller gets time to answer."""
        self._missed = False
        options = self._context.options
        patience = options.silence_after_file if self._context.history.file_may_play else options.silence_prompt
        if self._tools.running:
            patience = options.filler_again
        self._patient_until = self._context.now + patience
        self.wait()

    @property
    def nobody_busy(self) -> bool:
        """Whether neither side does anything, and the bot may."""
        context = self._context
        occupied = self._speaker.reply or self._ear.busy or self._line.leaving or self._line.busy or self._keypad.digits
        return not (occupied or context.history.muted)

    def wait(self) -> None:
        """The caller's time goes on, a little longer if he has just made a noise."""
        context = self._context
        if self.nobody_busy:
            patient_until = max(self._patient_until, context.now + context.options.after_noise)
            context.timers.set("silence", context.now + context.options.after_loss if self._missed else patient_until)

    def too_long(self) -> None:
        if self._speaker.reply or self._ear.busy or self._line.leaving:
            return
        if self._missed:
            self._missed = False
            self._speaker.speak(self._context.persona.reprompt)
            return
        if self._tools.running:
            self._speaker.speak(self._tools.filler())
            return
        prompts = self._context.persona.silence_prompts
        if self._prompts < len(prompts):
            self._prompts += 1
            self._speaker.speak(prompts[self._prompts - 1])
        else:
            self._context.note("the caller stayed silent")
            self._speaker.say_goodbye()
