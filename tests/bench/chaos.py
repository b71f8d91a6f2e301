"""Provider chaos: whatever fails, no turn ends in silence, and no sentence that was heard is said again.

Judged by what the media server heard, word by word (see coded_speech), and by the transcript. The model answers a given
point of a given call always with the same words, as a real one nearly does: an answer that is asked for twice and said
twice is words heard twice.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from bench.coded_speech import Codebook
from bench.errors import BenchError
from bench.faults import FailingElevenLabs, FailingOpenAI, Faults
from bench.goals import Goal, Result, columns, spread
from bench.overhead import QUESTIONS, spoken_lines
from bench.providers import FIRST_BYTE_MS, FIRST_TOKEN_MS, PER_TOKEN_MS, STT_MS, names
from bench.world import entries_of, place_all, running, write_agent
from callbus.transcript import Answered, BotHeard, BotSays, Entry, Noted
from devstack.stack import LocalStack
from ringover_sim.report import CallReport, Turn
from ringover_sim.script import CallScript, HangUp, Say, Step, WaitForBot

BOUND_S = 15.0
"""After the end of what the caller said, the bot must be heard within this time."""
WORDS_A_SENTENCE, SENTENCES = 5, 2
MOST_TURNS = 30
MOST_ROUNDS = 8
WHOLE = 0.8
"""So much of a word must have been heard for it to count."""
VOCABULARY = list(islice(names(), (MOST_TURNS + 1) * WORDS_A_SENTENCE * SENTENCES))
_OF_THE_MODEL = frozenset(VOCABULARY)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is tried: so many calls side by side, again and again, until there were `at_least` turns.

    Towards the end keys are refused, too: a provider that does so is kept out for long.
    """

    at_least: int = 200
    calls: int = 16
    turns: int = 5
    model_rate: float = 0.35
    first_rate: float = 0.35
    """Of the speech, by its first provider; `second_rate` by its second one."""
    second_rate: float = 0.15
    models: str = "openai,local"


@dataclass(slots=True)
class Seen:
    """What was found in all calls."""

    turns: int = 0
    words: int = 0
    """Of the model, on the wire."""
    answers_s: list[float] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    said_again: list[str] = field(default_factory=list)
    copied: int = 0
    """Words of earlier answers that the local model wrote again."""
    ended_early: int = 0


async def run(plan: Plan | None = None, *, seed: int = 1, work: Path | None = None) -> Result:
    """Place the calls and judge them."""
    plan = plan or Plan()
    lines = await asyncio.to_thread(spoken_lines)
    seen, book = Seen(), Codebook(VOCABULARY)
    with tempfile.TemporaryDirectory() as temporary:
        folder = work or Path(temporary)
        openai, elevenlabs = _providers(book, seed, plan)
        agents = write_agent(folder / "agents")
        async with openai, elevenlabs, running(folder, openai, elevenlabs, agents, **_chains(plan)) as stack:
            number = 0
            while seen.turns < plan.at_least:
                openai.faults.denials = elevenlabs.faults.denials = seen.turns >= 0.6 * plan.at_least
                reports = await place_all(stack, _scripts(plan, number), lines)
                for report in reports:
                    await _judge(stack, book, report, seen)
                number += 1
                if number > MOST_ROUNDS:
                    raise BenchError(f"only {seen.turns} turns in {number} rounds: see the logs in {folder}")
        given = openai.faults.given + elevenlabs.faults.given
    return _result(seen, given, seed)


def _chains(plan: Plan) -> dict[str, str]:
    both = "elevenlabs,openai"
    return {"STT_PROVIDERS": both, "LLM_PROVIDERS": plan.models, "TTS_PROVIDERS": both}


def answer(messages: Sequence[dict[str, Any]]) -> str:
    """What the model says at this point of a call."""
    turn = sum(message["role"] == "user" for message in messages)
    size = WORDS_A_SENTENCE * SENTENCES
    words = VOCABULARY[turn * size : (turn + 1) * size]
    sentences = [words[start : start + WORDS_A_SENTENCE] for start in range(0, size, WORDS_A_SENTENCE)]
    return " ".join(" ".join(sentence).capitalize() + "." for sentence in sentences)


def _providers(book: Codebook, seed: int, plan: Plan) -> tuple[FailingOpenAI, FailingElevenLabs]:
    heard = "Tell me more about it, please."
    openai = FailingOpenAI(
        answer=answer,
        hear=lambda wav, language: heard,
        first_token_ms=FIRST_TOKEN_MS,
        per_token_ms=PER_TOKEN_MS,
        transcription_ms=600,
        speak=book.speak,
        first_byte_ms=300,
    )
    elevenlabs = FailingElevenLabs(
        hear=lambda pcm, language: heard, transcription_ms=STT_MS, speak=book.speak, first_byte_ms=FIRST_BYTE_MS
    )
    first, second = plan.first_rate, plan.second_rate
    openai.faults = Faults(seed, "openai", {"llm": plan.model_rate, "stt": second, "tts": second})
    elevenlabs.faults = Faults(seed, "elevenlabs", {"stt": first, "tts": first})
    return openai, elevenlabs


def _scripts(plan: Plan, number: int) -> list[CallScript]:
    def steps(first: int) -> list[Step]:
        script: list[Step] = [WaitForBot(timeout=20, silence=0.3)]
        for turn in range(plan.turns):
            question = QUESTIONS[(first + turn) % len(QUESTIONS)]
            script += [Say(text=question), WaitForBot(timeout=BOUND_S + 30, silence=1.5)]
        return [*script, HangUp()]

    return [
        CallScript(name="chaos", caller=f"336{number:03}{call:05}", ring=0.1, longest=600, steps=steps(call))
        for call in range(plan.calls)
    ]


async def _judge(stack: LocalStack, book: Codebook, report: CallReport, seen: Seen) -> None:
    where = f"{report.call_id} ({report.caller})"
    for number, turn in enumerate(report.turns, start=1):
        seen.turns += 1
        answered = _answered_s(turn)
        if answered is None or answered > BOUND_S:
            seen.silent.append(f"{where}, turn {number}: the bot was heard after {answered} s")
        if answered is not None:
            seen.answers_s.append(answered)
    seen.ended_early += report.ended_by == "bot"
    entries = await entries_of(stack, report.call_id)
    on_the_wire = whole_words(book, report.heard_pcm, report.sample_rate)
    seen.words += sum(word in _OF_THE_MODEL for word in on_the_wire)
    copied = copied_words(entries)
    seen.copied += copied.total()
    seen.repeated += [f"{where}, heard on the wire: {sentence}" for sentence in twice(on_the_wire, copied)]
    written = _heard_words(entries)
    seen.said_again += [f"{where}, in the transcript: {sentence}" for sentence in twice(written, copied)]


def _answered_s(turn: Turn) -> float | None:
    # Negative: the bot was still speaking, or spoke up, while the caller did.
    return None if turn.response_ms is None else max(0.0, turn.response_ms / 1000)


def whole_words(book: Codebook, pcm: bytes, rate: int) -> list[str]:
    """What was heard well enough to be understood, in order."""
    return [heard.word for heard in book.read(pcm, rate) if heard.share >= WHOLE]


def copied_words(entries: Sequence[Entry]) -> Counter[str]:
    """The words of the answers that the local model wrote: it is small, and copies what it was shown of its own
    accord. That is no word of ours said twice, but the words count as heard."""
    copied: Counter[str] = Counter()
    local = False
    for entry in entries:
        match entry:
            case Noted(note=note) if note.startswith("llm: ") and note.endswith("took over"):
                local = True
            case BotSays(text=text) if local:
                copied.update(word for word in re.findall(r"\w+", text.lower()) if word in _OF_THE_MODEL)
            case Answered():
                local = False
            case _:
                pass
    return copied


def twice(words: Sequence[str], copied: Counter[str] | None = None) -> list[str]:
    """The model's sentences of which most words are there twice, the `copied` ones left out."""
    counts = Counter(words)
    counts.subtract(copied or {})
    found = []
    for start in range(0, len(VOCABULARY), WORDS_A_SENTENCE):
        sentence = VOCABULARY[start : start + WORDS_A_SENTENCE]
        if sum(counts[word] > 1 for word in sentence) > WORDS_A_SENTENCE // 2:
            found.append(" ".join(sentence))
    return found


def _heard_words(entries: Sequence[Entry]) -> list[str]:
    """What was heard, by the transcript; a segment's later word on it counts."""
    said = {entry.segment for entry in entries if isinstance(entry, BotSays)}
    heard = {entry.segment: entry.heard_text for entry in entries if isinstance(entry, BotHeard)}
    return [word for segment, text in heard.items() if segment in said for word in re.findall(r"\w+", text.lower())]


def _result(seen: Seen, given: Counter[str], seed: int) -> Result:
    figures = spread(seen.answers_s)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(given.items()))
    rows = [
        ["turns", str(seen.turns)],
        ["faults given", str(given.total())],
        ["the model's words, heard on the wire", str(seen.words)],
        ["first words after the caller's last, s (p50, p95, max)", ", ".join(f"{v:.1f}" for v in figures.values())],
        ["of them copied from earlier answers by the local model", str(seen.copied)],
        ["calls that the bot ended, politely, because failures went on", str(seen.ended_early)],
    ]
    head = [f"provider chaos (seed {seed})", ""]
    table = [*columns(head, rows), f"faults: {kinds}", *seen.silent[:5], *seen.repeated[:5], *seen.said_again[:5]]
    goals = [
        Goal(f"turns that end in silence (nothing heard within {BOUND_S:.0f} s)", len(seen.silent), 0, "turns"),
        Goal("heard sentences said twice, on the wire", len(seen.repeated), 0, "sentences"),
        Goal("heard sentences said twice, in the transcript", len(seen.said_again), 0, "sentences"),
    ]
    details = {
        "turns": seen.turns,
        "faults": dict(given),
        "words_heard": seen.words,
        "first_words_s": figures,
        "silent": seen.silent,
        "repeated": seen.repeated + seen.said_again,
    }
    return Result(table, goals, details)
