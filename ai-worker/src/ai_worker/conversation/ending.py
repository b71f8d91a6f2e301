"""How a call ends: the caller is gone, the bot has left, its time is over, or the line does not answer."""

from __future__ import annotations

from ai_worker.conversation.actions import Finish
from ai_worker.conversation.context import Context
from ai_worker.conversation.ear import Ear
from ai_worker.conversation.events import CallEnded
from ai_worker.conversation.line import Line
from ai_worker.conversation.speaker import Speaker
from ai_worker.conversation.takeover import TakeOver
from ai_worker.conversation.thinker import Thinker
from callbus import transcript

FAILED = "failed"


class Ending:
    """Once `finished`, nothing is done any more. The timers are `longest`, `acting` and `leaving`."""

    def __init__(
        self, context: Context, line: Line, ear: Ear, speaker: Speaker, thinker: Thinker, takeover: TakeOver
    ) -> None:
        self._context = context
        self._line = line
        self._ear = ear
        self._speaker = speaker
        self._thinker = thinker
        self._takeover = takeover
        self.finished = False

    def begin(self, elapsed: float) -> bool:
        """The call is `elapsed` s old; whether another worker has ended it already, or has left it."""
        context, history = self._context, self._context.history
        context.after("longest", max(0.0, context.persona.longest_call_s - elapsed))
        if history.finished:
            self._end(history.outcome or FAILED, "finished by another worker")
        elif history.outcome:
            self.leave()
        return history.finished or bool(history.outcome)

    def call_ended(self, event: CallEnded) -> None:
        """There is no media connection any more."""
        self._finish(self._line.outcome or "caller_left", event.reason)

    def leave(self) -> None:
        """The bot has left the call: whatever is under way, nothing but its end is waited for."""
        self._context.timers.clear()
        self._context.after("leaving", self._context.options.leaving_limit)

    def left_too_long_ago(self) -> None:
        """The bot has left the call, and nothing tells of its end."""
        self._finish(self._line.outcome or FAILED, "the media connection stayed open")

    def no_answer_from_the_line(self) -> None:
        if not self._line.act_again():
            self._finish(FAILED, "the streamer did not answer")

    def too_long(self) -> None:
        """The longest duration is reached: the bot takes leave, whoever speaks."""
        if self._line.leaving:
            return
        self._context.note("the longest duration of a call is reached")
        self._takeover.stop()
        self._speaker.abandon()
        self._ear.close()
        self._context.timers.clear()
        self._context.history.muted = False
        self.take_leave()

    def take_leave(self) -> None:
        """Say goodbye and hang up, whatever the caller says meanwhile; a muted bot doesn't."""
        if not self._context.history.muted:
            self._line.closing = True
            self._speaker.say_goodbye()

    def _finish(self, outcome: str, reason: str) -> None:
        self._speaker.abandon()
        self._context.write(transcript.Finished(self._context.now, outcome, reason))
        self._end(outcome, reason)

    def _end(self, outcome: str, reason: str) -> None:
        self._context.timers.clear()
        self._thinker.forget_guess()
        self.finished = True
        self._context.emit(Finish(outcome, reason))
