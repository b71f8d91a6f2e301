"""What a call was like against what was expected of it; Sans-I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from callbus import transcript as tr
from ringover_sim.report import CallReport, CommandSeen
from voicebot_cli.bots.book import KnownAgent, transfer_number
from voicebot_cli.bots.perform import Performance
from voicebot_cli.bots.spec import Answer
from voicebot_cli.bots.spec_yaml import Scripted
from voicebot_cli.phrases import Phrase, first_found, missing_in_order
from voicebot_cli.story import StoryTurn, by_spans


@dataclass(frozen=True, slots=True)
class Problem:
    """An expectation that did not hold, and its line in the file."""

    line: int
    text: str


@dataclass(slots=True)
class TurnResult:
    """One turn (or the greeting): what the caller did, and what came of it."""

    shown: str
    understood: str | None
    heard: str
    done: list[str]
    response_ms: int | None
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CallResult:
    """One scripted call."""

    test: Scripted
    turns: list[TurnResult]
    problems: list[Problem]
    """Those of the call as a whole."""
    duration_ms: int

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return not self.problems and not any(turn.problems for turn in self.turns)


@dataclass(frozen=True, slots=True)
class _Span:
    """One answer: where it is in the file, what was expected, what happened, and the commands in its time."""

    test: Scripted
    loc: tuple[str | int, ...]
    expected: Answer
    happened: StoryTurn
    commands: list[CommandSeen]
    response_ms: int | None
    ended_by: str | None
    """Who ended the call, if it ended here."""
    transfer: str | None

    def problems(self) -> list[Problem]:
        expected, heard = self.expected, self.happened.heard
        found = []
        if phrase := missing_in_order(_parsed(expected.says), heard):
            found.append(self._at(f"the bot did not say {phrase.given!r}", "says"))
        if phrase := first_found(_parsed(expected.never_says), self.happened.said):
            found.append(self._at(f"the bot said {phrase.given!r}", "never_says"))
        if expected.within_ms is not None and (self.response_ms is None or self.response_ms > expected.within_ms):
            took = "was not answered" if self.response_ms is None else f"was answered after {self.response_ms} ms"
            found.append(self._at(f"{took}, expected within {expected.within_ms} ms", "within_ms"))
        found += self._ends()
        pressed = "".join(str(command.data) for command in self.commands if command.command == "digits")
        if expected.presses is not None and pressed != expected.presses:
            found.append(self._at(f"the bot pressed {pressed or 'nothing'}, expected {expected.presses}", "presses"))
        return found

    def _ends(self) -> list[Problem]:
        transferred = [str(command.data).lstrip("+") for command in self.commands if command.command == "transfer"]
        if self.transfer is not None:
            if self.transfer in transferred:
                return []
            instead = f"to {transferred[0]} instead" if transferred else "not at all"
            text = f"expected a transfer to {self.expected.transfers_to} ({self.transfer}): transferred {instead}"
            return [self._at(text, "transfers_to")]
        if self.expected.hangs_up and self.ended_by != "bot":
            return [self._at("the bot did not hang up", "hangs_up")]
        if transferred:
            return [self._at(f"the bot transferred the call to {transferred[0]}, which nothing expects")]
        if self.ended_by == "bot" and not self.expected.hangs_up:
            return [self._at("the bot hung up, which nothing expects", "hangs_up")]
        return []

    def _at(self, text: str, *loc: str) -> Problem:
        return Problem(self.test.line(*self.loc, *loc), text)


def judge(
    test: Scripted, agent: KnownAgent, done: Performance, report: CallReport, entries: Sequence[tr.Entry]
) -> CallResult:
    """Every expectation, turn by turn."""
    call = test.call
    begun_ms = [begun.at_ms for begun in done.begun]
    story = by_spans(entries, [report.answered_at + ms / 1000 for ms in begun_ms])
    places: list[tuple[tuple[str | int, ...], Answer]] = [(("greeting",), call.greeting)]
    places += [(("turns", index, "expect"), turn.expect) for index, turn in enumerate(call.turns)]
    results = []
    for number, happened in enumerate(story):
        loc, expected = places[number]
        start, end = ([-1, *begun_ms, 10**9])[number : number + 2]
        spoken = done.begun[number - 1].spoken if number else None
        last = number == len(story) - 1
        wanted = expected.transfers_to
        span = _Span(
            test,
            loc,
            expected,
            happened,
            [command for command in report.commands if start <= command.at_ms < end],
            _response(report, number, spoken),
            report.ended_by if last else None,
            transfer_number(test, agent, number - 1, wanted) if wanted is not None else None,
        )
        shown = call.turns[number - 1].shown if number else "(greeting)"
        results.append(
            TurnResult(shown, happened.understood, happened.heard, happened.done, span.response_ms, span.problems())
        )
    return CallResult(test, results, _whole(test, done, report, story), report.duration_ms)


def _response(report: CallReport, number: int, spoken: int | None) -> int | None:
    if number == 0:
        return report.greeting_ms
    return report.turns[spoken].response_ms if spoken is not None and spoken < len(report.turns) else None


def _whole(test: Scripted, done: Performance, report: CallReport, story: Sequence[StoryTurn]) -> list[Problem]:
    """What is wrong with the call as a whole."""
    found = []
    reached = len(done.begun)
    at_end = test.line("turns", reached - 1) if reached else test.line("greeting")
    if done.stopped is not None:
        found.append(Problem(at_end, f"the caller gave up: {done.stopped}"))
    elif reached < len(test.call.turns):
        how = {"bot": "the bot had hung up", "transfer": "the caller had been transferred"}
        why = how.get(report.ended_by, "the call had ended")
        found.append(
            Problem(test.line("turns", reached), f"not reached: {why} ({len(test.call.turns) - reached} left)")
        )
    if phrase := first_found(_parsed(test.call.never_says), " ".join(turn.said for turn in story)):
        found.append(Problem(test.line("never_says"), f"the bot said {phrase.given!r}"))
    if report.ended_by == "error":
        found.append(Problem(at_end, "the media connection was lost"))
    found += [Problem(at_end, text) for text in report.failures if text != "the media connection was lost"]
    found += [Problem(at_end, f"no media server understands this: {text}") for text in report.violations]
    return found


def _parsed(texts: tuple[str, ...]) -> tuple[Phrase, ...]:
    return tuple(Phrase.parse(text) for text in texts)
