"""Barge-in: from the first sample of a caller's speech, while the bot speaks, to `break` at the media server."""

from __future__ import annotations

import asyncio
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.goals import Goal, Result, columns, spread
from bench.overhead import QUESTIONS, RATE
from bench.providers import Desk, Latencies, TimedElevenLabs, TimedOpenAI
from bench.world import Lines, place_all, running, write_agent
from ringover_sim.report import CallReport, Turn
from ringover_sim.script import CallScript, HangUp, Interrupt, Say, Step, WaitForBot
from ringover_sim.speech import LocalVoice
from support import recordings

GOAL_MS = 450.0
NEVER_MS = 10_000.0
"""What counts for an interruption that was not taken."""
PITCHES = (0.8, 0.9, 1.0, 1.15)
SAID = (
    "No, wait, that is not what I meant.",
    "Hold on a second please.",
    "Actually I wanted to ask about something else.",
    "Sorry, can I stop you there?",
    "Never mind, tell me about the opening hours.",
    "But what if I come on Monday?",
)
LONG_ANSWER = (
    "The {} is here until noon, and after that it can be found on the second floor, next to the big window. "
    "If it should not be there, please ask the people at the front desk, who will be glad to help you look for it."
)


@dataclass(frozen=True, slots=True)
class Plan:
    """So many calls at the same time, so many interruptions in each."""

    calls: int = 6
    interruptions: int = 11


async def run(plan: Plan | None = None, *, seed: int = 1, work: Path | None = None) -> Result:
    """Interrupt, and measure."""
    plan = plan or Plan()
    generator = random.Random(seed)
    words, lines = await asyncio.to_thread(_lines, plan.calls * plan.interruptions, generator)
    with tempfile.TemporaryDirectory() as temporary:
        folder = work or Path(temporary)
        desk, latencies = Desk(answer=LONG_ANSWER.format), Latencies(seed=seed)
        async with (
            TimedOpenAI(desk, latencies) as openai,
            TimedElevenLabs(desk, latencies, ms_per_char=60) as elevenlabs,
            running(folder, openai, elevenlabs, write_agent(folder / "agents")) as stack,
        ):
            reports = await place_all(stack, _scripts(plan, words, generator), lines)
    return _result(reports, plan, seed)


def _lines(count: int, generator: random.Random) -> tuple[list[str], Lines]:
    """What the callers say, in an order of the generator's choice: sentences in several voices, and real recordings."""
    recorded = {recording.transcript: _speech(recording) for recording in recordings.load_all()}
    spoken = {f"{text} ({pitch:g})": (text, pitch) for pitch in PITCHES for text in SAID}
    choices = sorted([*recorded, *spoken])
    order: list[str] = []
    while len(order) < count:
        order += generator.sample(choices, len(choices))
    del order[count:]
    voices = {pitch: LocalVoice(pitch) for pitch in PITCHES}
    said = {name: voices[pitch].speak(text, RATE) for name, (text, pitch) in spoken.items() if name in order}
    question = voices[PITCHES[0]].speak(QUESTIONS[0], RATE)
    return order, Lines(RATE, recorded | said | {QUESTIONS[0]: question})


def _speech(recording: recordings.Recording) -> bytes:
    """A recording without the room before its first word, whose noise would count as the onset."""
    start, end = (round(ms * recording.sample_rate / 1000) for ms in recording.speech_ms)
    return recording.pcm[2 * start : 2 * end]


def _scripts(plan: Plan, words: list[str], generator: random.Random) -> list[CallScript]:
    def steps(mine: list[str]) -> list[Step]:
        interruptions = [Interrupt(after=round(generator.uniform(0.4, 4.0), 2), say=text) for text in mine]
        return [WaitForBot(timeout=20, silence=0.3), Say(text=QUESTIONS[0]), *interruptions, HangUp()]

    return [
        CallScript(
            name="barge-in", caller=f"337{call:08}", ring=0.1, longest=600, steps=steps(words[call :: plan.calls])
        )
        for call in range(plan.calls)
    ]


def reaction_ms(report: CallReport, turn: Turn) -> float | None:
    """From the onset of an interruption to the first `break` at the media server; None when there was none in time."""
    breaks = (command.at_ms for command in report.commands_named("break") if command.at_ms >= turn.onset_ms)
    first = next(breaks, None)
    return None if first is None or first > turn.ended_ms + 500 else first - turn.onset_ms


def _result(reports: list[CallReport], plan: Plan, seed: int) -> Result:
    spoken = [(report, turn) for report in reports for turn in report.turns if turn.kind == "interrupt"]
    # Where the caller's last words were taken for a turn of their own, the bot was silent just then: no interruption.
    turns = [(report, turn) for report, turn in spoken if turn.overlap_ms > 0]
    if len(turns) < 0.9 * plan.calls * plan.interruptions:
        problems = [failure for report in reports for failure in report.failures]
        raise BenchError(f"only {len(turns)} interruptions took place: {problems[:3]}")
    found = [(turn.text, reaction_ms(report, turn)) for report, turn in turns]
    measured = [NEVER_MS if ms is None else ms for _, ms in found]
    missed = [text for text, ms in found if ms is None]
    late = max(report.max_lateness_ms for report in reports)
    figures = spread(measured)
    head = [f"barge-in, ms (seed {seed})", *figures]
    rows = [
        [f"onset of speech -> break: {len(measured)} interruptions", *(f"{ms:.0f}" for ms in figures.values())],
        [f"not taken: {len(missed)}; the simulator at most {late:.0f} ms late", "", "", ""],
    ]
    details = {
        "ms": figures,
        "not_taken": missed,
        "each": [{"said": text, "ms": ms} for text, ms in found],
        "simulator_late_ms": late,
    }
    goal = Goal(f"onset of the caller's speech -> break, p95 ({NEVER_MS:.0f}: not taken)", figures["p95"], GOAL_MS)
    return Result(columns(head, rows), [goal], details)
