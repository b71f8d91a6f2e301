"""The caller's side of a scripted call: does what each turn says, and remembers when it began."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ringover_sim import script as steps
from ringover_sim.runner import CallOver, ScriptRunner, StepFailed
from ringover_sim.script import CallScript
from voicebot_cli.bots.spec import Answer, ScriptedCall, ScriptedTurn

ANSWER_SILENCE_S = 1.2
"""Silence after which the caller takes an answer for whole: sentences that a slow model writes may lie further apart
than those of a person."""


@dataclass(slots=True)
class Begun:
    """A turn that was reached. `spoken` is its place among the report's turns; None for silence."""

    at_ms: int
    spoken: int | None


@dataclass(slots=True)
class Performance:
    """A behaviour for `place_call`. `stopped` is why the caller gave up, if they did."""

    call: ScriptedCall
    folder: Path
    begun: list[Begun] = field(default_factory=list)
    stopped: str | None = None

    async def __call__(self, runner: ScriptRunner) -> None:
        """The whole call; returns for the caller to hang up."""
        try:
            answers = [self.call.greeting, *(turn.expect for turn in self.call.turns)]
            for answer, following in zip(answers, [*self.call.turns, None], strict=True):
                if following is None or following.interrupt is None:
                    await self._hear(runner, answer)
                if following is not None:
                    await self._do(runner, following)
        except StepFailed as failure:
            self.stopped = str(failure)
        except CallOver:
            # Whether it was to end here is for the judge.
            return

    async def _hear(self, runner: ScriptRunner, answer: Answer) -> None:
        if answer.ends_the_call:
            await runner.perform(steps.WaitForEnd(timeout=answer.timeout), self.folder)
        else:
            await runner.perform(steps.WaitForBot(timeout=answer.timeout, silence=ANSWER_SILENCE_S), self.folder)

    async def _do(self, runner: ScriptRunner, turn: ScriptedTurn) -> None:
        if turn.silent is not None:
            self.begun.append(Begun(runner.line.now_ms, None))
            await runner.perform(steps.WaitForBotToStart(timeout=turn.silent), self.folder)
            return
        before = len(runner.turns)
        try:
            await runner.perform(as_step(turn), self.folder)
        finally:
            if len(runner.turns) > before and (start := runner.turns[-1].line.start) is not None:
                self.begun.append(Begun(round(start * 1000 / runner.line.rate), before))


def as_step(turn: ScriptedTurn) -> steps.Step:
    """What the caller does, as a step of the simulator; silence is a pause."""
    if turn.say is not None:
        if turn.interrupt is not None:
            return steps.Interrupt(after=turn.interrupt, say=turn.say)
        return steps.Say(text=turn.say)
    if turn.say_wav is not None:
        return steps.SayWav(path=turn.say_wav)
    if turn.press is not None:
        return steps.Press(digits=turn.press)
    assert turn.silent is not None
    return steps.Pause(seconds=turn.silent)


def as_script(call: ScriptedCall, called: str, call_id: str) -> CallScript:
    """The call as the simulator wants it: its lines, its numbers, its voice."""
    return CallScript(
        name=call.name,
        call_id=call_id,
        caller=call.caller,
        called=called,
        longest=call.longest,
        media=steps.Media(sample_rate=16000 if call.sample_rate == 16000 else 8000),
        voice=call.voice,
        steps=[as_step(turn) for turn in call.turns],
    )
