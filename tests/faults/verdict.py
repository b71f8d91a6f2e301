"""What a row of the fault table found: what was done, what held, the figures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from faults.fleet import Fleet
from faults.judge import Judged


@dataclass(slots=True)
class Done:
    """A fault that was done to a fleet, whose effects are over; the calls go on."""

    did: str
    most_silent_ms: int
    """The longest silence of a caller who waits."""
    uncut: bool = False
    """Whether no word of an answer may be cut, said again or lost."""
    loses_words: bool = False
    """Whether words of the callers may be lost in it: then the bot has to say that it has not understood."""
    problems: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)
    afterwards: Callable[[Sequence[Judged]], Awaitable[list[str]]] | None = None
    """What else must hold when the calls have ended: its problems."""


@dataclass(slots=True)
class Verdict:
    """One row. It held when there are no problems."""

    row: str
    did: str
    problems: list[str]
    figures: dict[str, object]

    @property
    def held(self) -> bool:
        """Whether everything that must hold did."""
        return not self.problems

    @property
    def line(self) -> str:
        """For people."""
        figures = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        more = f" [{len(self.problems)} problems: {'; '.join(self.problems[:6])}]" if self.problems else ""
        return f"{'HELD  ' if self.held else 'BROKEN'}  {self.row}: {self.did}: {figures}{more}"


async def verdict(row: str, fleet: Fleet, faults: Sequence[Done]) -> Verdict:
    """Let the callers hang up, and judge what all faults together made of their calls."""
    judged = await fleet.hang_up()
    problems = [problem for fault in faults for problem in fault.problems]
    for fault in faults:
        problems += await fault.afterwards(judged) if fault.afterwards else []
    most_silent_ms = max(fault.most_silent_ms for fault in faults)
    for call in judged:
        problems += [f"{call.call_id}: {problem}" for problem in call.problems]
        # Where the simulator itself had to wait for the machine, so had the system.
        if call.longest_silence_ms - call.report.max_lateness_ms > most_silent_ms:
            problems.append(f"{call.call_id}: {call.longest_silence_ms} ms of silence")
        if call.asked_again and not any(fault.loses_words for fault in faults):
            problems.append(f"{call.call_id}: {call.asked_again} questions were asked for again")
        if all(fault.uncut for fault in faults) and (call.words_cut or call.words_twice or call.words_lost):
            problems.append(
                f"{call.call_id}: {call.words_cut} words cut, {call.words_twice} twice, {call.words_lost} lost"
            )
    problems += fleet.talk.forgotten
    problems += [f"the tool was used {n} times for {name}" for name, n in fleet.tools_used.items() if n > 1]
    did = "; ".join(fault.did for fault in faults)
    return Verdict(row, did, problems, _figures(fleet, faults, judged))


def _figures(fleet: Fleet, faults: Sequence[Done], judged: Sequence[Judged]) -> dict[str, object]:
    silences = [call.longest_silence_ms for call in judged]
    return {
        "calls": len(judged),
        "answers": sum(call.questions for call in judged),
        **{name: figure for fault in faults for name, figure in fault.figures.items()},
        "spoken into a dead line": sum(call.into_dead_line for call in judged),
        "asked for again": sum(call.asked_again for call in judged),
        "longest silence": f"{max(silences, default=0) / 1000:.1f} s",
        "take-overs": sum(max(0, call.claims - 1) for call in judged),
        "words heard": sum(call.words for call in judged),
        "twice": sum(call.words_twice for call in judged),
        "cut": sum(call.words_cut for call in judged),
        "lost": sum(call.words_lost for call in judged),
        "tools": fleet.tools_used.total(),
        "results unknown": fleet.talk.unknown_results,
        "digits not sent": sum(call.not_pressed for call in judged),
        "apologies": sum(bool(call.said["apology"]) for call in judged),
        "simulator late": f"{max((call.report.max_lateness_ms for call in judged), default=0.0):.0f} ms",
    }
