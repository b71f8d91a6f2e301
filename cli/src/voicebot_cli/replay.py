"""`ringover-voicebot replay CALL_ID`: what a recorded caller said, said again to today's agent."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from rich.console import Console

from callbus import transcript as tr
from callbus.keys import clean_call_id
from devstack.placed import new_call_id
from ringover_sim import script as steps
from ringover_sim.caller import place_call
from ringover_sim.report import CallReport
from ringover_sim.runner import CallOver, ScriptRunner, StepFailed
from ringover_sim.script import CallerVoice, CallScript, Media
from voicebot_cli.differences import compare, show
from voicebot_cli.errors import CliError
from voicebot_cli.fetched import fetch_call
from voicebot_cli.gateway import Gateway, gateway_of
from voicebot_cli.recorded import BEFORE_S, Piece, RecordedCall, load_call
from voicebot_cli.story import by_spans
from voicebot_cli.system import System
from voicebot_cli.tail import whole_transcript

ANSWER_TIMEOUT_S = 20.0
LONGEST_PAUSE_S = 5.0
LISTENED_S = 0.7
"""What the wait for the end of an answer takes of the caller's pause."""
UNKNOWN_NUMBER = "33100000000"
"""For a party whose number the record does not have."""


async def replay(system: System, console: Console, call_id: str, *, calls_dir: Path | None) -> int:
    """Place the call and show the differences; the exit code, 0 when it could be placed, whatever differs.

    Raises CliError, SimulatorError, BadCallId.
    """
    async with gateway_of(system) as gateway:
        return await _replay(system, gateway, console, await _recorded(system, gateway, call_id, calls_dir))


async def _replay(system: System, gateway: Gateway, console: Console, recorded: RecordedCall) -> int:
    # A call is placed, tools and transfers included, only when its transcript can be read afterwards.
    await gateway.calls(1)
    again = new_call_id("replay")
    spoken = sum(piece.ended - piece.began for piece in recorded.pieces)
    console.print(
        f"call {recorded.call_id} again, as {again}: {len(recorded.pieces)} turns, {spoken:.0f} s of speech",
        style="bold",
        soft_wrap=True,
    )
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        caller = RecordedCaller(recorded, recorded.save_pieces(Path(folder)))
        report = await place_call(
            caller.script(again),
            gateway_url=system.gateway_url,
            streamer_url=system.streamer_url,
            secret=system.webhook_key,
            token=system.streamer_token,
            behaviour=caller,
        )
    entries = await whole_transcript(gateway, again)
    if not entries:
        raise CliError(
            f"call {again} was placed, and has no transcript: no worker took it, or the gateway can't be asked any "
            "more; `ringover-voicebot status` says what is missing"
        )
    begun = [report.answered_at + ms / 1000 for ms in caller.begun_ms]
    agents = [entry.agent for entry in entries if isinstance(entry, tr.Claimed)]
    differences = compare(recorded, by_spans(entries, begun), agent=agents[-1] if agents else "", ended=_ended(report))
    show(differences, caller.remarks, console)
    return 0


async def _recorded(system: System, gateway: Gateway, call_id: str, calls_dir: Path | None) -> RecordedCall:
    """From the folder, or, where none was named and the record isn't there, from the gateway."""
    folder = calls_dir or system.calls_dir
    record = folder / clean_call_id(call_id) / "call.json"
    if calls_dir is not None or await asyncio.to_thread(record.exists):
        return load_call(folder, call_id)
    with tempfile.TemporaryDirectory(prefix="replay-") as fetched:
        await fetch_call(gateway, call_id, Path(fetched))
        return load_call(Path(fetched), call_id)


@dataclass(slots=True)
class RecordedCaller:
    """A behaviour for `place_call`: speaks each piece when the recorded caller did, measured from what the bot does."""

    call: RecordedCall
    files: dict[int, Path]
    begun_ms: list[int] = field(default_factory=list)
    """When each piece that was reached began, ms since the answer."""
    remarks: list[str] = field(default_factory=list)

    def script(self, call_id: str) -> CallScript:
        """The call's frame; its audio is sent as it was recorded, not put through a telephone again."""
        lines: list[steps.Step] = [self._step(number, piece) for number, piece in enumerate(self.call.pieces)]
        return CallScript(
            name=f"replay of {self.call.call_id}"[:64],
            call_id=call_id,
            caller=self.call.caller or UNKNOWN_NUMBER,
            called=self.call.called or UNKNOWN_NUMBER,
            longest=min(3600.0, 2 * self.call.pieces[-1].ended + ANSWER_TIMEOUT_S * (len(lines) + 2)),
            media=Media(sample_rate=16000 if self.call.sample_rate == 16000 else 8000),
            voice=CallerVoice(phone=False),
            steps=lines,
        )

    async def __call__(self, runner: ScriptRunner) -> None:
        try:
            for number, (before, piece) in enumerate(pairwise([None, *self.call.pieces])):
                assert piece is not None
                await self._wait(runner, before, piece)
                await self._perform(runner, number, piece)
            await self._to_the_end(runner)
        except CallOver:
            return

    async def _wait(self, runner: ScriptRunner, before: Piece | None, piece: Piece) -> None:
        """Until the moment at which the caller spoke then."""
        turns = self.call.turns[(before.turn if before else 0) : piece.turn + 1]
        answered = any(said.heard for turn in turns[: max(1, len(turns) - 1)] for said in turn.bot)
        try:
            if piece.into_speech is not None:
                await runner.perform(steps.WaitForBotToStart(timeout=ANSWER_TIMEOUT_S), Path())
                await runner.perform(steps.Pause(seconds=min(60.0, max(0.0, piece.into_speech - BEFORE_S))), Path())
            elif answered:
                await runner.perform(steps.WaitForBot(timeout=ANSWER_TIMEOUT_S, silence=LISTENED_S), Path())
                rest = min(LONGEST_PAUSE_S, piece.pause) - LISTENED_S - BEFORE_S
                await runner.perform(steps.Pause(seconds=max(0.0, rest)), Path())
            else:
                gap = piece.began - (before.ended if before else 0.0) - BEFORE_S
                await runner.perform(steps.Pause(seconds=min(LONGEST_PAUSE_S, max(0.0, gap))), Path())
        except StepFailed as failure:
            self.remarks.append(f"before turn {piece.turn}: {failure}; the caller went on")

    async def _perform(self, runner: ScriptRunner, number: int, piece: Piece) -> None:
        before = len(runner.turns)
        try:
            await runner.perform(self._step(number, piece), Path())
        except StepFailed as failure:
            self.remarks.append(f"turn {piece.turn}: {failure}")
        finally:
            if len(runner.turns) > before and (start := runner.turns[-1].line.start) is not None:
                self.begun_ms.append(round(start * 1000 / runner.line.rate))

    async def _to_the_end(self, runner: ScriptRunner) -> None:
        """The last answer, and the end of the call by whoever ended it then."""
        try:
            if self.call.ended_by in ("bot", "transfer"):
                await runner.perform(steps.WaitForEnd(timeout=ANSWER_TIMEOUT_S), Path())
            elif any(said.heard for said in self.call.turns[-1].bot):
                await runner.perform(steps.WaitForBot(timeout=ANSWER_TIMEOUT_S, silence=LISTENED_S), Path())
        except StepFailed as failure:
            self.remarks.append(f"at the end: {failure}")

    def _step(self, number: int, piece: Piece) -> steps.Step:
        if number in self.files:
            return steps.SayWav(path=str(self.files[number]))
        return steps.Press(digits=piece.digits)


def _ended(report: CallReport) -> str:
    return "system" if report.ended_by == "error" else report.ended_by
