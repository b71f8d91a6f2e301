"""Scripted calls for a reader: turn by turn, what was heard, how long it took, and which line did not hold."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from voicebot_cli.bots.judge import CallResult, Problem, TurnResult
from voicebot_cli.phrases import plain


def show(result: CallResult, console: Console) -> None:
    """One call."""
    mark = "✓" if result.ok else "✗"
    head = Text(f"{mark} ", style="bold green" if result.ok else "bold red")
    head.append(result.test.call.name, style="bold")
    head.append(f"  {result.test.path}, {result.duration_ms / 1000:.0f} s", style="dim")
    console.print(head, soft_wrap=True)
    for turn in result.turns:
        _show_turn(turn, result, console)
    for problem in result.problems:
        _show_problem(problem, result, console)


def _show_turn(turn: TurnResult, result: CallResult, console: Console) -> None:
    good = not turn.problems
    line = Text("  ✓ " if good else "  ✗ ", style="green" if good else "red")
    line.append(turn.shown, style="cyan")
    if turn.understood is not None and plain(turn.understood) not in plain(turn.shown):
        line.append(f"  understood: “{turn.understood}”", style="dim")
    console.print(line, soft_wrap=True)
    took = "" if turn.response_ms is None else f"{turn.response_ms} ms"
    answer = Text(f"    {took:>8}  ", style="magenta")
    answer.append(f"“{turn.heard}”" if turn.heard else "nothing heard", style="" if turn.heard else "dim")
    if turn.done:
        answer.append(f"  [{'; '.join(turn.done)}]", style="yellow")
    console.print(answer, soft_wrap=True)
    for problem in turn.problems:
        _show_problem(problem, result, console)


def _show_problem(problem: Problem, result: CallResult, console: Console) -> None:
    text = Text(f"    {result.test.path}:{problem.line}: ", style="bold red")
    text.append(problem.text, style="red")
    console.print(text, soft_wrap=True)


def summary(results: list[CallResult], console: Console) -> None:
    """The last line."""
    good = sum(result.ok for result in results)
    colour = "green" if good == len(results) else "red"
    console.print(f"{good} of {len(results)} calls went as expected", style=f"bold {colour}")
