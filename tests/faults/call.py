"""One simulated caller of a fleet: asks one question after another until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from faults import talk
from faults.line_ear import RATE
from ringover_sim.report import CallReport
from ringover_sim.runner import CallOver, ScriptRunner, StepFailed
from ringover_sim.script import Pause, Say, WaitForBot

LINES = (
    "How long can I keep a book?",
    "Where is the library?",
    "Can I borrow a laptop?",
    "How much does printing cost?",
)
"""What the callers' voices say; which words are understood is up to the fake speech-to-text."""
ANSWER_TIMEOUT_S = 20.0
GREETING_TIMEOUT_S = 20.0
ANSWER_SOUND_S = 0.85 * 0.04 * sum(len(word) for word in talk.VOCABULARY[: talk.WORDS_AN_ANSWER])


class FleetCall:
    """One simulated caller, who asks one question after another until `stop` is set."""

    def __init__(self, number: int, call_id: str, speech: talk.Talk, tools_running: Collection[str]) -> None:
        self.number, self.call_id = number, call_id
        self.questions: list[talk.Question] = []
        self.runner: ScriptRunner | None = None
        self.greeted = False
        self.answered = 0
        """Questions whose answer was heard to its end."""
        self.unanswered: list[str] = []
        """Names of questions whose answer did not come within ANSWER_TIMEOUT_S."""
        self.stop = asyncio.Event()
        self.last_kind: talk.Kind | None = None
        """What the last question, once `stop` is set, is to be; none: no further question."""
        self.task: asyncio.Task[CallReport]
        self._talk, self._tools_running = speech, tools_running

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.task.done()

    @property
    def state(self) -> str:
        """What is going on in it: ringing, greeting, asking, tool, waiting, answering or idle."""
        if self.runner is None:
            return "ringing"
        if not self.greeted:
            return "greeting"
        if self.answered + len(self.unanswered) >= len(self.questions):
            return "idle"
        line = self.runner.turns[-1].line if len(self.runner.turns) == len(self.questions) else None
        if line is None or line.speech_end is None or self.runner.line.mouth.position < line.speech_end:
            return "asking"
        if self.questions[-1].name in self._tools_running:
            return "tool"
        return "answering" if self.runner.line.ear.heard_since(line.speech_end) > RATE // 5 else "waiting"

    async def behave(self, runner: ScriptRunner) -> None:
        """See ringover_sim.runner.Behaviour."""
        self.runner = runner
        folder = Path()
        try:
            await runner.perform(WaitForBot(timeout=GREETING_TIMEOUT_S, at_least=0.9, silence=0.3), folder)
            self.greeted = True
            while not self.stop.is_set():
                await self._ask(runner, None)
                await runner.perform(Pause(seconds=0.3), folder)
            if self.last_kind:
                await self._ask(runner, self.last_kind)
        except StepFailed as failure:
            self.unanswered.append(f"greeting: {failure}")
        except CallOver:
            return

    async def _ask(self, runner: ScriptRunner, kind: talk.Kind | None) -> None:
        question = self._talk.question(self.number, len(self.questions), kind)
        self.questions.append(question)
        await runner.perform(Say(text=LINES[(self.number + question.number) % len(LINES)]), Path())
        wait = WaitForBot(timeout=ANSWER_TIMEOUT_S, at_least=ANSWER_SOUND_S, silence=0.4)
        try:
            await runner.perform(wait, Path())
            self.answered += 1
        except StepFailed:
            self.unanswered.append(question.name)
