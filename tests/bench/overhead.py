"""Own overhead: voice-to-voice less the decisions and the providers' own times. See `path` for the formula."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.goals import Goal, Result, columns, spread
from bench.path import TurnTimes
from bench.providers import Asked, Desk, Latencies, TimedElevenLabs, TimedOpenAI, sentence_sent_at
from bench.world import Lines, clock_offset, entries_of, place_all, running, write_agent
from callbus.transcript import CallerSaid, TurnTimed
from devstack.stack import LocalStack
from ringover_sim.report import CallReport
from ringover_sim.script import CallScript, HangUp, Say, Step, WaitForBot
from ringover_sim.speech import LocalVoice

RATE = 8000
GOAL_MS = 60.0
QUESTIONS = (
    "How long can I keep a book?",
    "Where is the library?",
    "What does a library card cost?",
    "Can I borrow a laptop?",
    "How much does printing cost?",
    "Is the reading room open today?",
)


@dataclass(frozen=True, slots=True)
class Load:
    """So many calls at the same time, so many turns in each."""

    calls: int
    turns: int

    @property
    def title(self) -> str:
        return f"{self.calls} call{'s' if self.calls > 1 else ''} at a time"


LOADS = (Load(1, 24), Load(10, 12))


@dataclass(slots=True)
class Measured:
    """One turn: by the bench's own clocks, and as the system itself tells it."""

    times: TurnTimes
    told: TurnTimed | None
    end_by_vad: float | None
    """When the system believes that the caller's speech ended; s of the same clock as `times`."""


async def run(loads: Sequence[Load] = LOADS, *, seed: int = 1, work: Path | None = None) -> Result:
    """Measure under each load."""
    lines = await asyncio.to_thread(spoken_lines)
    measured: dict[str, list[Measured]] = {}
    late: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = work or Path(temporary)
        desk = Desk()
        latencies = Latencies(seed=seed)
        async with (
            TimedOpenAI(desk, latencies) as openai,
            TimedElevenLabs(desk, latencies) as elevenlabs,
            running(folder, openai, elevenlabs, write_agent(folder / "agents")) as stack,
        ):
            for load in loads:
                reports = await place_all(stack, _scripts(load, len(measured)), lines)
                late[load.title] = max(report.max_lateness_ms for report in reports)
                measured[load.title] = [turn for report in reports for turn in await _turns(stack, desk, report)]
                _check(load, measured[load.title], reports)
    return _result(measured, late, seed)


def spoken_lines() -> Lines:
    """The caller's questions, in the simulator's own voice."""
    voice = LocalVoice()
    return Lines(RATE, {text: voice.speak(text, RATE) for text in QUESTIONS})


def _scripts(load: Load, run_number: int) -> list[CallScript]:
    return [
        CallScript(
            name="overhead",
            caller=f"3361{run_number:02}{number:05}",
            ring=0.1,
            longest=600,
            steps=_steps(load.turns, number),
        )
        for number in range(load.calls)
    ]


def _steps(turns: int, first: int) -> list[Step]:
    steps: list[Step] = [WaitForBot(timeout=20, silence=0.3)]
    for turn in range(turns):
        steps += [Say(text=QUESTIONS[(first + turn) % len(QUESTIONS)]), WaitForBot(timeout=20, silence=0.3)]
    return [*steps, HangUp()]


async def _turns(stack: LocalStack, desk: Desk, report: CallReport) -> list[Measured]:
    entries = await entries_of(stack, report.call_id)
    told = {entry.turn: entry for entry in entries if isinstance(entry, TurnTimed)}
    ends = {entry.turn: entry.at - clock_offset() for entry in entries if isinstance(entry, CallerSaid)}
    answered = report.answered_at - clock_offset()
    found: list[Measured] = []
    for number, turn in enumerate(report.turns, start=1):
        asked = desk.turns.get((report.caller, number))
        audio = next((c.at_ms for c in report.commands_named("streamAudio") if c.at_ms > turn.ended_ms), None)
        if asked is None or audio is None:
            continue
        times = _times(desk, asked, answered + turn.ended_ms / 1000, answered + audio / 1000)
        if times is not None:
            found.append(Measured(times, told.get(number), ends.get(number)))
    return found


def _times(desk: Desk, asked: Asked, speech_end: float, first_audio: float) -> TurnTimes | None:
    stt, llm, tts = asked.stt, asked.llm, asked.tts
    if llm is None or tts is None or not (stt.sent_at and llm.sent_at and tts.sent_at):
        return None
    return TurnTimes(
        speech_end=speech_end,
        stt_asked=stt.received_at,
        stt_final=stt.sent_at[-1],
        llm_asked=llm.received_at,
        llm_sentence=sentence_sent_at(llm, desk.answer(asked.name), asked.tts_text),
        tts_asked=tts.received_at,
        tts_first=tts.sent_at[0],
        first_audio=first_audio,
    )


def _check(load: Load, turns: list[Measured], reports: list[CallReport]) -> None:
    problems = [problem for report in reports for problem in (*report.failures, *report.violations)]
    if problems:
        raise BenchError(f"{load.title}: the calls did not go as they should: {problems[:3]}")
    if len(turns) < 0.95 * load.calls * load.turns:
        raise BenchError(f"{load.title}: of {load.calls * load.turns} turns only {len(turns)} could be followed")


def _result(measured: dict[str, list[Measured]], late: dict[str, float], seed: int) -> Result:
    rows, goals, details = [], [], dict[str, Any]()
    for title, turns in measured.items():
        overhead = [1000 * turn.times.overhead for turn in turns]
        gaps = {name: [1000 * turn.times.gaps()[name] for turn in turns] for name in turns[0].times.gaps()}
        told = {
            stage: [turn.told.stages[stage] for turn in turns if turn.told and stage in turn.told.stages]
            for stage in sorted({stage for turn in turns if turn.told for stage in turn.told.stages})
        }
        hops = {
            way: [turn.told.hops[way] for turn in turns if turn.told and way in turn.told.hops] for way in ("in", "out")
        }
        vad = [1000 * (turn.end_by_vad - turn.times.speech_end) for turn in turns if turn.end_by_vad]
        figures = {
            "overhead": overhead,
            **{f"  {name}": values for name, values in gaps.items()},
            "    of it: the end of speech is seen late (VAD)": vad,
            "    of it: hop in (streamer -> worker's verdict)": hops["in"],
            "    of it: hop out (worker -> streamer)": hops["out"],
            "voice to voice": [1000 * turn.times.voice_to_voice for turn in turns],
            "providers' own times": [1000 * turn.times.providers for turn in turns],
        }
        rows.append([f"{title}: {len(turns)} turns, the simulator at most {late[title]:.0f} ms late", "", "", ""])
        for name, values in figures.items():
            rows.append([f"  {name}", *(f"{value:.0f}" for value in spread(values).values())])
        goals.append(Goal(f"own overhead, p95, {title}", spread(overhead)["p95"], GOAL_MS))
        details[title] = {
            "turns": len(turns),
            "ms": {name.strip(): spread(values) for name, values in figures.items()},
            "hops_ms": {way: spread(values) for way, values in hops.items() if values},
            "told_by_the_system_ms": {stage: spread(values) for stage, values in told.items()},
            "simulator_late_ms": late[title],
        }
    head = [f"own overhead, ms (seed {seed})", "p50", "p95", "max"]
    return Result(columns(head, rows), goals, details)
