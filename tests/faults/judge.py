"""What is to be said of one call: by what was heard on the wire, and by its transcript."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.coded_speech import Codebook, HeardWord
from callbus import transcript
from callbus.transcript import CallerSaid, Claimed, ToolUsed
from faults.talk import FIXED, Question, sentences
from ringover_sim.report import CallReport

WHOLE = 0.8
"""So much of a word must have been heard for it to count."""
SENT = 0.7
"""So much of a question must have gone out on a media connection for its answer to be expected."""


@dataclass(slots=True)
class Judged:
    """One call. `problems` are what must never happen; a row adds what it wants of the figures."""

    call_id: str
    report: CallReport
    entries: Sequence[transcript.Entry]
    ended_by: str
    longest_silence_ms: int
    """In which the caller waited for the bot: for the greeting, for an answer, or for the rest of one."""
    questions: int
    claims: int
    words: int
    """Of answers, heard whole."""
    words_twice: int
    words_lost: int
    not_pressed: int
    """Digits that were asked for and not sent: better than twice, but no more than that."""
    words_cut: int
    """Heard in part only, and not again."""
    asked_again: int
    """Questions after which the bot said that it had not understood, and did not wait for the answer to."""
    into_dead_line: int
    """Questions that were spoken while there was no media connection: nobody can have heard them."""
    problems: list[str] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    """Words heard of what the agent says of its own accord, by what it is (see talk.FIXED)."""
    heard: Sequence[HeardWord] = ()

    def save(self, folder: Path) -> None:
        """All that is known of the call, in the order of time, for people."""
        folder.mkdir(parents=True, exist_ok=True)
        lines = [(entry.at_ms / 1000, f"{entry.who}: {entry.what}") for entry in self.report.timeline]
        lines += [(word.at_ms / 1000, f"heard: {word.word} {word.share}") for word in self.heard]
        lines += [(entry.at - self.report.answered_at, f"    {entry}") for entry in self.entries]
        text = [f"{at:9.3f}  {what}" for at, what in sorted(lines, key=lambda line: line[0])]
        content = [self.report.table(), *self.problems, f"longest silence {self.longest_silence_ms} ms", *text]
        (folder / f"{self.call_id}.txt").write_text("\n".join(content) + "\n", encoding="utf-8")


def judge(
    book: Codebook,
    questions: Sequence[Question],
    report: CallReport,
    entries: Sequence[transcript.Entry],
    unanswered: Sequence[str],
    asked_again: Sequence[str],
) -> Judged:
    """Look at everything that can be known about a call that is over.

    `unanswered` are the names of the questions whose answer the caller waited for in vain, `asked_again` of those that
    he was told were not understood.
    """
    heard = book.read(report.heard_pcm, report.sample_rate)
    spoken = questions
    dead = _into_dead_line(questions, report)
    lost = [question for question in questions if question in dead or question.name in asked_again]
    questions = [question for question in questions if question not in lost]
    counts = Counter(word.word for word in heard if word.share >= WHOLE)
    parts = {word.word for word in heard}
    expected = [word for question in questions for word in question.answer]
    wanted = set(expected)
    # Half a question may be understood, and is answered then.
    known = {word for words in (*FIXED.values(), *(question.answer for question in lost)) for word in words}
    judged = Judged(
        call_id=report.call_id,
        report=report,
        entries=entries,
        ended_by=report.ended_by,
        longest_silence_ms=_longest_silence(spoken, dead, report, heard),
        questions=len(questions),
        asked_again=sum(question not in dead for question in lost),
        into_dead_line=len(dead),
        claims=sum(isinstance(entry, Claimed) for entry in entries),
        words=sum(word in wanted for word in counts.elements()),
        words_twice=sum(counts[word] > 1 for word in wanted),
        words_lost=sum(word not in parts for word in wanted),
        not_pressed=len(
            {question.digits for question in questions if question.kind == "digits"}
            - {str(command.data) for command in report.commands_named("digits")}
        ),
        words_cut=sum(word in parts and not counts[word] for word in wanted),
        said=Counter({name: sum(counts[word] for word in words) for name, words in FIXED.items()}),
        heard=heard,
    )
    problems = judged.problems
    problems += [f"violation: {violation}" for violation in report.violations]
    unheard = {question.name for question in lost}
    problems += [f"no whole answer in time: {name}" for name in unanswered if name not in unheard]
    if report.ended_by != ("transfer" if spoken and spoken[-1].kind == "transfer" else "caller"):
        problems.append(f"the call was ended by {report.ended_by}")
    _sentence(problems, "the greeting", FIXED["greeting"], counts)
    for question in questions:
        for number, words in enumerate(sentences(question.answer), start=1):
            _sentence(problems, f"question {question.number}, sentence {number}", words, counts)
    strange = [word for word in counts if word not in wanted and word not in known]
    if strange:
        problems.append(f"heard words of other calls: {strange[:5]}")
    problems += _context(questions, entries)
    problems += _done_twice(report, entries)
    return judged


def _sentence(problems: list[str], what: str, words: Sequence[str], counts: Counter[str]) -> None:
    if sum(counts[word] > 1 for word in words) > len(words) // 2:
        problems.append(f"{what} was heard twice")
    if sum(counts[word] == 0 for word in words) > len(words) // 2:
        problems.append(f"{what} was not heard")


def _into_dead_line(questions: Sequence[Question], report: CallReport) -> list[Question]:
    lost = []
    for question, turn in zip(questions, report.turns, strict=False):
        spans = [(seen.opened_ms, seen.closed_ms or report.duration_ms) for seen in report.connections]
        sent = sum(max(0, min(end, turn.ended_ms) - max(start, turn.onset_ms)) for start, end in spans)
        if sent < SENT * (turn.ended_ms - turn.onset_ms):
            lost.append(question)
    return lost


def _longest_silence(
    questions: Sequence[Question], lost: Sequence[Question], report: CallReport, heard: Sequence[HeardWord]
) -> int:
    sounds = [(word.at_ms, word.at_ms + round(word.share * len(word.word) * 40)) for word in heard]
    waits: list[tuple[int, int]] = []
    if report.connections:
        greeted = [end for word, (_, end) in zip(heard, sounds, strict=True) if word.word in FIXED["greeting"]]
        waits.append((report.connections[0].opened_ms, max(greeted, default=report.duration_ms)))
    turns = report.turns
    for number, (question, turn) in enumerate(zip(questions, turns, strict=False)):
        if question in lost:
            continue
        until = turns[number + 1].onset_ms if number + 1 < len(turns) else report.duration_ms
        answer = set(question.answer)
        ends = [end for word, (_, end) in zip(heard, sounds, strict=True) if word.word in answer and end <= until]
        whole = answer <= {word.word for word in heard if word.at_ms <= until}
        waits.append((turn.ended_ms, max(ends) if ends and whole else until))
    return max((_gap(sounds, start, end) for start, end in waits), default=0)


def _gap(sounds: Sequence[tuple[int, int]], start: int, end: int) -> int:
    longest, at = 0, start
    for begin, finish in sounds:
        if finish <= start or begin >= end:
            continue
        longest, at = max(longest, begin - at), max(at, finish)
    return max(longest, end - at)


def _context(questions: Sequence[Question], entries: Sequence[transcript.Entry]) -> list[str]:
    names = {question.name for question in questions}
    said = {entry.turn: entry.text for entry in entries if isinstance(entry, CallerSaid)}
    found = [word for turn in sorted(said) for word in re.findall(r"\w+", said[turn]) if word in names]
    asked = [question.name for question in questions]
    if found == asked:
        return []
    missing = [name for name in asked if name not in found]
    twice = [name for name, count in Counter(found).items() if count > 1]
    return [f"the transcript's questions are not the caller's: missing {missing}, twice {twice}, {len(found)} in all"]


def _done_twice(report: CallReport, entries: Sequence[transcript.Entry]) -> list[str]:
    pressed = Counter(str(command.data) for command in report.commands_named("digits"))
    # An outage can write an entry twice; it is the same call of the tool then.
    asked = {e.tool_call_id: e.arguments for e in entries if isinstance(e, ToolUsed) and e.state == "asked"}
    tools = Counter(asked.values())
    problems = [f"digits {digits} were sent {count} times" for digits, count in pressed.items() if count > 1]
    problems += [f"tool {arguments} was asked for {count} times" for arguments, count in tools.items() if count > 1]
    if (transfers := len(report.commands_named("transfer"))) > 1:
        problems.append(f"{transfers} transfers")
    return problems
