"""One simulated caller of a fleet: asks one question after another until told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from bench.coded_speech import Codebook
from faults import talk
from faults.line_ear import RATE
from ringover_sim.report import CallReport
from ringover_sim.runner import CallOver, ScriptRunner, StepFailed
from ringover_sim.script import Pause, Say, WaitForBot
from support.waiting import until

LINES = (
    "How long can I keep a book?",
    "Where is the library?",
    "Can I borrow a laptop?",
    "How much does printing cost?",
)
"""What the callers' voices say; which words are understood is up to the fake speech-to-text."""
ANSWER_TIMEOUT_S = 20.0
GREETING_TIMEOUT_S = 20.0
ASKED_AGAIN_PAUSE_S = 0.6
ANSWER_SOUND_S = 0.85 * 0.04 * sum(len(word) for word in talk.VOCABULARY[: talk.WORDS_AN_ANSWER])


class FleetCall:
    """One simulated caller, who asks one question after another until `stop` is set."""

    def __init__(
        self, number: int, call_id: str, speech: talk.Talk, book: Codebook, tools_running: Collection[str]
    ) -> None:
        self.number, self.call_id = number, call_id
        self.questions: list[talk.Question] = []
        self.runner: ScriptRunner | None = None
        self.greeted = False
        self.answered = 0
        """Questions whose answer was heard to its end."""
        self.unanswered: list[str] = []
        """Names of questions whose answer did not come within ANSWER_TIMEOUT_S."""
        self.asked_again: list[str] = []
        """Names of questions after which the bot said that it had not understood: the caller asked another one."""
        self.stop = asyncio.Event()
        self.last_kind: talk.Kind | None = None
        """What the last question, once `stop` is set, is to be; none: no further question."""
        self.task: asyncio.Task[CallReport]
        self._talk, self._book, self._tools_running = speech, book, tools_running

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        return self.task.done()

    @property
    def waited_for(self) -> int:
        """Questions for whose answer the caller waits no more."""
        return self.answered + len(self.unanswered) + len(self.asked_again)

    @property
    def state(self) -> str:
        """What is going on in it: ringing, greeting, asking, tool, waiting, answering or idle."""
        if self.runner is None:
            return "ringing"
        if not self.greeted:
            return "greeting"
        if self.waited_for >= len(self.questions):
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
        asked = runner.line.now
        asked_again = asyncio.create_task(self._asked_again(runner, asked))
        answer = asyncio.create_task(
            runner.perform(WaitForBot(timeout=ANSWER_TIMEOUT_S, at_least=ANSWER_SOUND_S, silence=0.4), Path())
        )
        try:
            await asyncio.wait([answer, asked_again], return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                self.asked_again.append(question.name)
                return
            await answer
            self.answered += 1
        except StepFailed:
            self.unanswered.append(question.name)
        finally:
            for task in (answer, asked_again):
                task.cancel()
            await asyncio.gather(answer, asked_again, return_exceptions=True)

    async def _asked_again(self, runner: ScriptRunner, since: int) -> None:
        """Until the last that was said since then (samples on the line) is that the bot has not understood."""
        ear, heard = runner.line.ear, 0

        def said_more() -> bool:
            return ear.heard_since(since) > heard and ear.quiet_for() >= ASKED_AGAIN_PAUSE_S * RATE

        while True:
            await until(said_more, timeout=2 * ANSWER_TIMEOUT_S, every=0.1)
            heard = ear.heard_since(since)
            pcm = bytes(runner.line.playout.heard[2 * since :])
            words = await asyncio.to_thread(self._book.read, pcm, RATE)
            if words and words[-1].word in talk.FIXED["reprompt"]:
                return
