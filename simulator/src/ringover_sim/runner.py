"""Performs a script's steps on a call that is up."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, Protocol

from ringover_sim import script as steps
from ringover_sim.dtmf import PAUSE_MS, TONE_MS, tones
from ringover_sim.line import PhoneLine
from ringover_sim.measure import SpokenTurn
from ringover_sim.recorder import Recorder

TurnKind = Literal["say", "say_wav", "interrupt", "press"]
SHORTEST_SPEECH_MS = 250
"""What counts as the bot having spoken: less is the tail of an utterance that was just cut."""


class CallOver(Exception):
    """The call ended while the script wanted to go on."""


class StepFailed(Exception):
    """A step's time ran out: what follows makes no sense any more."""


Behaviour = Callable[["ScriptRunner"], Awaitable[None]]
"""Performs steps in an order of its own, until the caller wants to hang up; `place_call` takes one."""


class Controls(Protocol):
    """What a script may do to its call apart from speaking."""

    @property
    def over(self) -> bool:
        """Whether the call has ended."""
        ...

    def drop(self, reconnect_after: float) -> None:
        """Abort the media connection; it comes back after so many seconds."""
        ...


class ScriptRunner:
    """Runs steps one after another. `lines` are the prepared lines by text or path."""

    def __init__(self, line: PhoneLine, recorder: Recorder, controls: Controls, lines: dict[str | Path, bytes]) -> None:
        self.turns: list[SpokenTurn] = []
        self.line = line
        self._recorder, self._controls, self._lines = recorder, controls, lines
        self._mark = 0
        """What the bot does counts from here (samples): the end of the caller's last line, or of the last wait."""
        self._since = 0
        """Commands may be claimed from here: the beginning of the caller's last line."""

    async def run(self, script: list[steps.Step], base: Path) -> None:
        """All steps, up to a hang_up, a failed wait, or the end of the call."""
        for number, step in enumerate(script, start=1):
            if isinstance(step, steps.HangUp):
                return
            try:
                await self.perform(step, base)
            except StepFailed as failure:
                self._recorder.failure(self.line.now_ms, f"step {number}, {step.do}: {failure}")
                return
            except CallOver:
                self._recorder.failure(self.line.now_ms, f"step {number}, {step.do}: the call had already ended")
                return

    async def perform(self, step: steps.Step, base: Path) -> None:
        """One step; hanging up is not one that can be performed. Raises StepFailed, CallOver."""
        match step:
            case steps.Say():
                await self._speak("say", step.text, self._lines[step.text])
            case steps.SayWav():
                await self._speak("say_wav", step.path, self._lines[base / step.path])
            case steps.Interrupt():
                await self._interrupt(step)
            case steps.Press():
                await self._press(step)
            case steps.WaitForBotToStart():
                await self._until(self._bot_started, step.timeout, "the bot did not begin to speak")
            case steps.WaitForBot():
                await self._wait_for_bot(step)
            case steps.Pause():
                end = self.line.now + round(step.seconds * self.line.rate)
                await self._until(lambda: self.line.now >= end, step.seconds + 1, "")
            case steps.DropConnection():
                self._controls.drop(step.reconnect_after)
            case steps.Expect():
                await self._expect(step)
            case steps.WaitForEnd():
                await self._wait_for_end(step)
            case steps.HangUp():
                return

    async def _speak(self, kind: TurnKind, text: str, pcm: bytes, during: Awaitable[None] | None = None) -> None:
        said = self.line.mouth.say(pcm)
        self.turns.append(SpokenTurn(kind, text, said))
        self._since = self.line.now
        self._recorder.note(self.line.now_ms, "caller", f"{kind}: {text}")
        if during is not None:
            await during
        spoken = len(pcm) / 2 / self.line.rate
        try:
            await self._until(lambda: said.end is not None, spoken + 10, "the line could not be spoken in time")
        except CallOver:
            # Everything audible was said: only the silence at the line's end was not.
            if said.speech_end is None or self.line.mouth.position < said.speech_end:
                raise
        self._mark = said.speech_end or self.line.now

    async def _interrupt(self, step: steps.Interrupt) -> None:
        await self._until(self._bot_started, step.timeout, "the bot did not begin to speak")
        onset = self.line.ear.onset_after(self._mark)
        assert onset is not None
        moment = onset + round(step.after * self.line.rate)
        await self._until(lambda: self.line.now >= moment, step.after + 1, "")
        if self.line.playout.playing is None:
            self._recorder.failure(self.line.now_ms, f"interrupt: the bot did not speak for {step.after:g} s")
        await self._speak("interrupt", step.say, self._lines[step.say])

    async def _press(self, step: steps.Press) -> None:
        each = (TONE_MS + PAUSE_MS) / 1000
        if step.via == "tones":
            await self._speak("press", step.digits, tones(step.digits, self.line.rate))
            return
        quiet = bytes(2 * round(each * self.line.rate) * len(step.digits))
        await self._speak("press", step.digits, quiet, self._send_keys(step.digits, each))

    async def _send_keys(self, digits: str, each: float) -> None:
        for digit in digits:
            if self.line.connection is not None:
                await self.line.connection.send_text(json.dumps({"event": "dtmf", "digit": digit}))
            await asyncio.sleep(each)

    async def _wait_for_bot(self, step: steps.WaitForBot) -> None:
        ear, rate = self.line.ear, self.line.rate
        shortest, silence = round(rate * max(SHORTEST_SPEECH_MS / 1000, step.at_least)), round(rate * step.silence)

        def finished() -> bool:
            return ear.heard_since(self._mark) >= shortest and ear.quiet_for() >= silence

        await self._until(finished, step.timeout, "the bot did not speak and finish")
        self._mark = self.line.now

    async def _expect(self, step: steps.Expect) -> None:
        wanted = step.command if step.data is None else f"{step.command} {step.data}"

        def claim() -> bool:
            for command in self._recorder.commands:
                right = step.data is None or str(command.seen.data) == str(step.data)
                if not command.claimed and command.position >= self._since and command.seen.command == step.command:
                    command.claimed = right
                    if right:
                        return True
            return False

        try:
            await self._until(claim, step.within, "")
        except (StepFailed, CallOver):
            seen = ", ".join(c.seen.command for c in self._recorder.commands if c.position >= self._since) or "nothing"
            self._recorder.failure(
                self.line.now_ms, f"expected {wanted} within {step.within:g} s; since the caller's last line: {seen}"
            )

    async def _wait_for_end(self, step: steps.WaitForEnd) -> None:
        try:
            await self._until(lambda: False, step.timeout, "nobody ended the call")
        except CallOver:
            return

    def _bot_started(self) -> bool:
        return self.line.ear.onset_after(self._mark) is not None

    async def _until(self, condition: Callable[[], bool], timeout: float, problem: str) -> None:
        """Wait for a condition, looked at after every tick and message. Raises StepFailed, CallOver."""
        deadline = self.line.now + round(timeout * self.line.rate)
        while not condition():
            if self._controls.over:
                raise CallOver
            if self.line.now >= deadline:
                raise StepFailed(f"{problem} within {timeout:g} s")
            self.line.moved.clear()
            await self.line.moved.wait()
