"""A transcript for a reader: who says what, what of it was heard, and how long it took."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from callbus import wishes
from callbus.transcript import (
    Acted,
    BotHeard,
    BotSays,
    CallerPressed,
    CallerSaid,
    Claimed,
    Entry,
    Finished,
    MachineHeard,
    Noted,
    ToolUsed,
    TurnTimed,
)

_WISHES = {
    "say": "has the bot say a line",
    "transfer": "transfers the caller",
    "hang_up": "hangs up",
    "mute": "mutes the bot",
    "unmute": "lets the bot speak again",
}


class TranscriptView:
    """Prints entry by entry. Times are seconds since the first entry.

    A sentence of the bot appears dimmed when it is about to be said, and again, bright, with what was heard of it.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._zero: float | None = None
        self._unheard: dict[str, str] = {}
        self._operators: set[str] = set()
        self._claimed = False

    def show(self, entry: Entry) -> None:
        """One more entry."""
        if self._zero is None:
            self._zero = entry.started_at if isinstance(entry, CallerSaid) else entry.at
        match entry:
            case Claimed(worker=worker, agent=agent):
                how = "takes the call over" if self._claimed else "takes the call"
                self._claimed = True
                self._line(entry.at, "system", f"{worker} {how}, agent {agent}", "dim", dim=True)
            case CallerSaid(text=text, started_at=started):
                self._line(started, "caller", text, "bold cyan")
            case CallerPressed(digits=digits):
                self._line(entry.at, "caller", f"presses {digits}", "bold cyan")
            case BotSays(segment=segment, text=text):
                self._unheard[segment] = text
                if entry.by_operator:
                    self._operators.add(segment)
                self._line(entry.at, "says", f"“{text}”{self._whose(segment)}", "green", dim=True)
            case BotHeard():
                self._heard(entry)
            case TurnTimed():
                self._line(entry.at, "latency", latency(entry), "magenta")
            case Acted(kind=kind, argument=argument, state=state):
                by = ", the operator's wish" if wishes.is_operators(entry.action_id) else ""
                style = "bold red" if state == "refused" else "bold yellow"
                self._line(entry.at, "action", f"{kind} {argument}".rstrip() + f" ({state}{by})", style)
            case ToolUsed(name=name, arguments=arguments, state="asked"):
                self._line(entry.at, "tool", f"{name} {arguments}", "bold yellow")
            case ToolUsed(name=name, result=result, state=state):
                style = "bold red" if state == "failed" else "yellow"
                self._line(entry.at, "tool", f"{name} ({state}): {result}", style)
            case MachineHeard(sign=sign):
                self._line(entry.at, "note", f"an answering machine: {sign}", "dim", dim=True)
            case Noted(note=note) if noted := wishes.read_note(note):
                self._line(entry.at, "console", granted(noted), "bold red" if noted.refused else "bold blue")
            case Noted(note=note):
                self._line(entry.at, "note", note, "dim", dim=True)
            case Finished(outcome=outcome, reason=reason):
                self._line(entry.at, "system", f"conversation over: {outcome} ({reason})", "dim", dim=True)
            case _:
                pass

    def close(self) -> None:
        """What was said and nobody heard."""
        for segment, text in self._unheard.items():
            what = f"{'':12}unheard “{text}”{self._whose(segment)}"
            self._console.print(Text(what, style="yellow"), soft_wrap=True)

    def _heard(self, entry: BotHeard) -> None:
        said, whose = self._unheard.pop(entry.segment, None), self._whose(entry.segment)
        if not entry.interrupted:
            self._line(entry.at, "heard", f"{entry.heard_text}{whose}", "bold green")
            return
        rest = (said or "").removeprefix(entry.heard_text).strip()
        what = f"{entry.heard_text} … interrupted" if entry.heard_text else "not a word: interrupted"
        self._line(entry.at, "heard", f"{what}{f'; unheard “{rest}”' if rest else ''}{whose}", "bold yellow")

    def _whose(self, segment: str) -> str:
        return " (the operator's line)" if segment in self._operators else ""

    def _line(self, at: float, who: str, what: str, style: str, *, dim: bool = False) -> None:
        assert self._zero is not None
        line = Text(f"{max(0.0, at - self._zero):7.2f} s  ", style="dim")
        line.append(f"{who:<8}", style=style)
        line.append(what, style="dim" if dim else "")
        self._console.print(line, soft_wrap=True)


def granted(noted: wishes.WishNoted) -> str:
    """`the operator mutes the bot`, and, of what was not granted, why."""
    did = _WISHES.get(noted.wish, f"wants: {noted.wish}")
    return f"the operator {did}" + (f": {noted.refused}" if noted.refused else "")


def latency(timed: TurnTimed) -> str:
    """`turn 1: 680 ms voice to voice; ms after the caller's last word: stt final 600 · …; hop in 2`."""
    stages = " · ".join(f"{stage.replace('_', ' ')} {ms:.0f}" for stage, ms in timed.stages.items())
    total = "" if timed.voice_to_voice_ms is None else f"{timed.voice_to_voice_ms:.0f} ms voice to voice; "
    hops = "".join(f"; hop {way} {ms:.0f}" for way, ms in timed.hops.items())
    return f"turn {timed.turn}: {total}ms after the caller's last word: {stages}{hops}"
