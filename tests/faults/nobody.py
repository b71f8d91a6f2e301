"""Nobody is there: no worker at all, or no provider that works. The caller hears words, and then gets a person."""

from __future__ import annotations

import asyncio
import io
import json
import re
import tempfile
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.coded_speech import Codebook
from bench.goals import Goal, Result, columns
from bench.overhead import QUESTIONS, RATE, spoken_lines
from bench.world import Lines, place_all, running
from devstack.ports import free_port
from devstack.stack import LocalStack
from ringover_sim.report import CallReport
from ringover_sim.script import CallScript, Pause, Say, Step, WaitForEnd
from support.fake_providers import FakeElevenLabs, FakeOpenAI, Fault, Refuse, RequestRecord
from support.sim_http import http_peer

NUMBER = "33187654321"
PLAY_WITHIN_MS = 2000
APOLOGY_WITHIN_MS = 5000
"""After the call's first moment, when nothing works from the start."""
WHOLE = 0.8
"""So much of a word must have been heard for it to count."""
HOLD = "Please hold, somebody comes."
GREETING = "Good morning, from maple street."
APOLOGY = "Sorry, something broke here."
ANSWER = "Every book may stay three weeks."

Failing = Literal["HTTP 500 from the start", "refused from the start", "HTTP 500 within the call"]
FAILING: tuple[Failing, ...] = ("HTTP 500 from the start", "refused from the start", "HTTP 500 within the call")


@dataclass(frozen=True, slots=True)
class Plan:
    """So many calls side by side in each case, and which cases of failing providers."""

    calls: int = 10
    failing: Sequence[Failing] = FAILING


@dataclass(frozen=True, slots=True)
class Heard:
    """One call, as its caller heard it; ms since its media connection was open, None for what never came."""

    words: dict[str, int]
    """Whole words, and when they were heard first."""
    first_ms: int | None
    """When the first whole word began."""
    play_ms: int | None
    transfer_ms: int | None
    transferred_to: str
    problems: tuple[str, ...]

    def began(self, text: str) -> int | None:
        """When this text was heard, if all of it was."""
        wanted = _words(text)
        return min(self.words[word] for word in wanted) if set(wanted) <= set(self.words) else None


async def run(plan: Plan | None = None, *, work: Path | None = None) -> Result:
    """No worker, then each way of providers to fail."""
    plan = plan or Plan()
    book = Codebook(word for text in (HOLD, GREETING, APOLOGY, ANSWER) for word in _words(text))
    table, goals, details = list[str](), list[Goal](), dict[str, Any]()

    def add(what: str, calls: Sequence[Heard], found: list[Goal]) -> None:
        nonlocal table
        table += [*columns([what, ""], _rows(calls)), *(problem for call in calls for problem in call.problems)]
        goals.extend(found)
        details[what] = [str(call) for call in calls]

    with tempfile.TemporaryDirectory() as temporary:
        folder = work or Path(temporary)
        alone = await _without_worker(plan, book, folder / "no-worker")
        add("no worker", alone, _goals_without_worker(alone))
        lines = await asyncio.to_thread(spoken_lines)
        for failing in plan.failing:
            calls = await _without_providers(plan, failing, book, lines, folder / failing.replace(" ", "-"))
            add(f"providers: {failing}", calls, _goals_without_providers(failing, calls))
    return Result(table, goals, details)


async def _without_worker(plan: Plan, book: Codebook, folder: Path) -> list[Heard]:
    with http_peer() as files:
        files.files["/hold.wav"] = _wav(book.speak(HOLD, RATE))
        env = {"FALLBACK_PLAY_URL": f"{files.url}/hold.wav", "FALLBACK_TRANSFER_NUMBER": NUMBER}
        async with LocalStack(folder, workers=0, env={**env, "LOG_FORMAT": "json"}) as stack:
            scripts = [_script(number, [WaitForEnd(timeout=20)]) for number in range(plan.calls)]
            return [_heard(book, report) for report in await place_all(stack, scripts, Lines(RATE, {}))]


class _Out:
    """Whether the providers are out of order."""

    def __init__(self, out: bool) -> None:
        self.out = out


class _OpenAI(FakeOpenAI):
    outage: _Out

    def recorded(self, record: RequestRecord) -> Fault | None:
        return super().recorded(record) or (Refuse(500, "The server had an error.") if self.outage.out else None)


class _ElevenLabs(FakeElevenLabs):
    outage: _Out

    def recorded(self, record: RequestRecord) -> Fault | None:
        return super().recorded(record) or (Refuse(500, "The server had an error.") if self.outage.out else None)


async def _without_providers(plan: Plan, failing: Failing, book: Codebook, lines: Lines, folder: Path) -> list[Heard]:
    outage = _Out(failing == "HTTP 500 from the start")
    openai = _OpenAI(answer=lambda _: ANSWER, hear=lambda wav, language: QUESTIONS[0], speak=book.speak)
    elevenlabs = _ElevenLabs(hear=lambda pcm, language: QUESTIONS[0], speak=book.speak)
    openai.outage = elevenlabs.outage = outage
    env = {"STT_PROVIDERS": "elevenlabs,openai", "LLM_PROVIDERS": "openai", "TTS_PROVIDERS": "elevenlabs,openai"}
    if failing == "refused from the start":
        nowhere = f"http://127.0.0.1:{free_port()}"
        env |= {"OPENAI_BASE_URL": f"{nowhere}/v1", "ELEVENLABS_BASE_URL": nowhere}
    # What was recorded is for voices that never worked; else what was synthesised beforehand must be there.
    agents = _agent(folder, None if failing == "HTTP 500 within the call" else book)
    async with openai, elevenlabs, running(folder, openai, elevenlabs, agents, **env) as stack:
        placed = place_all(stack, [_persistent_caller(number) for number in range(plan.calls)], lines)
        calls = asyncio.create_task(placed)
        if failing == "HTTP 500 within the call":
            await asyncio.sleep(1.5)
            outage.out = True
        return [_heard(book, report) for report in await calls]


def _agent(folder: Path, recorded: Codebook | None) -> Path:
    agents = folder / "agents"
    agents.mkdir(parents=True, exist_ok=True)
    fields: dict[str, Any] = {
        "name": "nobody",
        "default": True,
        "recording": False,
        "greeting": GREETING,
        "apology": APOLOGY,
        "instructions": "Be brief.",
        "transfer": {"human": NUMBER},
        "fallback_transfer": "human",
    }
    if recorded:
        (agents / "sorry.wav").write_bytes(_wav(recorded.speak(APOLOGY, RATE)))
        fields["apology_file"] = "sorry.wav"
    # JSON is YAML.
    (agents / "nobody.yaml").write_text(json.dumps(fields), encoding="utf-8")
    return agents


def _persistent_caller(number: int) -> CallScript:
    """Says something again and again until somebody comes."""
    steps: list[Step] = [Pause(seconds=3)]
    for turn in range(4):
        steps += [Say(text=QUESTIONS[(number + turn) % len(QUESTIONS)]), Pause(seconds=5)]
    return _script(number, [*steps, WaitForEnd(timeout=20)])


def _script(number: int, steps: list[Step]) -> CallScript:
    return CallScript(name="nobody", caller=f"336{number:08}", ring=0.1, longest=120, steps=steps)


def _heard(book: Codebook, report: CallReport) -> Heard:
    whole = [word for word in book.read(report.heard_pcm, report.sample_rate) if word.share >= WHOLE]
    opened = report.connections[0].opened_ms
    # A script that is cut short by the transfer is what is wanted here.
    problems = [*(f for f in report.failures if "had already ended" not in f), *report.violations]
    if report.ended_by != "transfer":
        problems.append(f"the call was ended by {report.ended_by}")
    plays, transfers = report.commands_named("play"), report.commands_named("transfer")
    if len(transfers) > 1:
        problems.append(f"{len(transfers)} transfers")
    return Heard(
        {word.word: word.at_ms - opened for word in reversed(whole)},
        whole[0].at_ms - opened if whole else None,
        plays[0].at_ms - opened if plays else None,
        transfers[0].at_ms - opened if transfers else None,
        str(transfers[0].data) if transfers else "",
        tuple(f"{report.call_id}: {problem}" for problem in problems),
    )


def _rows(calls: Sequence[Heard]) -> list[list[str]]:
    def spread(value: Callable[[Heard], int | None]) -> str:
        known = sorted(ms for call in calls if (ms := value(call)) is not None)
        return f"{known[0]} to {known[-1]} ({len(known)} of {len(calls)} calls)" if known else "never"

    return [
        ["`play` on the wire, ms", spread(lambda call: call.play_ms)],
        ["first word heard, ms", spread(lambda call: call.first_ms)],
        ["apology or recorded words heard, ms", spread(lambda call: call.began(APOLOGY) or call.began(HOLD))],
        ["transferred, ms", spread(lambda call: call.transfer_ms)],
    ]


def _goals_without_worker(calls: Sequence[Heard]) -> list[Goal]:
    late = max(call.first_ms if call.first_ms is not None else 99_999 for call in calls)
    return [
        Goal("no worker: until the file is heard", late, PLAY_WITHIN_MS),
        Goal("no worker: the file not heard to its end", sum(call.began(HOLD) is None for call in calls), 0, "calls"),
        _transferred("no worker", calls, HOLD),
        _problems("no worker", calls),
    ]


def _goals_without_providers(failing: Failing, calls: Sequence[Heard]) -> list[Goal]:
    unheard = sum(call.began(APOLOGY) is None for call in calls)
    goals = [
        Goal(f"{failing}: the apology not heard", unheard, 0, "calls"),
        _transferred(failing, calls, APOLOGY),
        _problems(failing, calls),
    ]
    if failing != "HTTP 500 within the call":
        late = max(call.first_ms if call.first_ms is not None else 99_999 for call in calls)
        goals.append(Goal(f"{failing}: until the first word is heard", late, APOLOGY_WITHIN_MS))
    return goals


def _transferred(what: str, calls: Sequence[Heard], first: str) -> Goal:
    def right(call: Heard) -> bool:
        began = call.began(first)
        return began is not None and (call.transfer_ms or 0) > began and call.transferred_to == NUMBER

    return Goal(f"{what}: not transferred after that", sum(not right(call) for call in calls), 0, "calls")


def _problems(what: str, calls: Sequence[Heard]) -> Goal:
    return Goal(f"{what}: other problems", sum(len(call.problems) for call in calls), 0, "problems")


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(RATE)
        audio.writeframes(pcm)
    return file.getvalue()
