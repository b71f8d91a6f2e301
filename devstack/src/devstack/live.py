"""A call's conversation, shown while it happens: follows `call:{id}:transcript`."""

from __future__ import annotations

import asyncio

from rich.console import Console
from rich.text import Text

from callbus import keys
from callbus.broker import Broker
from callbus.errors import BadMessage, BusUnavailable
from callbus.transcript import (
    Acted,
    BotHeard,
    BotSays,
    CallerPressed,
    CallerSaid,
    Claimed,
    Entry,
    Finished,
    Noted,
    ToolUsed,
    TurnTimed,
    decode,
)

BLOCK_MS = 500


class LiveView:
    """Prints a call's transcript entry by entry, and keeps what a summary needs."""

    def __init__(self, console: Console) -> None:
        self.timings: list[TurnTimed] = []
        self.questions: dict[int, str] = {}
        """What the caller said, by turn."""
        self.said_until: dict[int, float] = {}
        """When that ended, by turn; epoch s."""
        self.finished: Finished | None = None
        self.began = asyncio.Event()
        """Set by the first entry."""
        self._console = console
        self._zero: float | None = None
        self._said: dict[str, str] = {}
        self._claimed = False

    def show(self, entry: Entry) -> None:
        """One more entry. Times are shown in seconds since the worker took the call."""
        if self._zero is None:
            self._zero = entry.at
            self.began.set()
        match entry:
            case Claimed(worker=worker, agent=agent):
                how = "takes the call over" if self._claimed else "takes the call"
                self._claimed = True
                self._line(entry.at, "system", f"{worker} {how}, agent {agent}", "dim")
            case CallerSaid(text=text, turn=turn, started_at=started):
                self.questions[turn] = text
                self.said_until[turn] = entry.at
                self._line(started, "caller", text, "bold cyan")
            case CallerPressed(digits=digits):
                self._line(entry.at, "caller", f"presses {digits}", "bold cyan")
            case BotSays(segment=segment, text=text):
                self._said[segment] = text
                self._line(entry.at, "bot", text, "bold green")
            case BotHeard(interrupted=True, heard_text=heard, segment=segment):
                if segment in self._said:
                    what = f"… cut off after “{heard}”" if heard else "… cut off before a word was heard"
                    self._line(entry.at, "bot", what, "yellow")
            case TurnTimed():
                self.timings.append(entry)
                self._line(entry.at, "latency", _latency(entry), "magenta")
            case Acted(kind=kind, argument=argument, state="done"):
                self._line(entry.at, "action", f"{kind} {argument}".rstrip(), "bold yellow")
            case ToolUsed(name=name, arguments=arguments, state="asked"):
                self._line(entry.at, "tool", f"{name} {arguments}", "bold yellow")
            case ToolUsed(name=name, result=result, state="failed"):
                self._line(entry.at, "tool", f"{name} failed: {result}", "bold red")
            case ToolUsed(name=name, result=result):
                self._line(entry.at, "tool", f"{name}: {result}", "yellow")
            case Noted(note=note):
                self._line(entry.at, "note", note, "dim")
            case Finished(outcome=outcome, reason=reason):
                self.finished = entry
                self._line(entry.at, "system", f"conversation over: {outcome} ({reason})", "dim")
            case _:
                pass

    def _line(self, at: float, who: str, what: str, style: str) -> None:
        assert self._zero is not None
        line = Text(f"{max(0.0, at - self._zero):7.2f} s  ", style="dim")
        line.append(f"{who:<8}", style=style)
        line.append(what, style="dim" if style == "dim" else "")
        self._console.print(line, soft_wrap=True)


async def follow(broker: Broker, call_id: str, view: LiveView) -> None:
    """Show a call from its first entry until its conversation is finished; waits for one that has not begun."""
    stream, last = keys.transcript(call_id), b"0-0"
    while view.finished is None:
        try:
            found = await broker.read({stream: last}, block_ms=BLOCK_MS)
        except BusUnavailable:
            await asyncio.sleep(BLOCK_MS / 1000)
            continue
        for entry_id, fields in found.get(stream, []):
            last = entry_id
            try:
                view.show(decode(fields))
            except BadMessage as error:
                view.show(Noted(float(entry_id.split(b"-")[0]) / 1000, str(error)))


def _latency(timed: TurnTimed) -> str:
    stages = " · ".join(f"{stage.replace('_', ' ')} {ms:.0f}" for stage, ms in timed.stages.items())
    total = "" if timed.voice_to_voice_ms is None else f"{timed.voice_to_voice_ms:.0f} ms voice to voice; "
    hops = "".join(f"; hop {way} {ms:.0f}" for way, ms in timed.hops.items())
    return f"turn {timed.turn}: {total}ms after the caller's last word: {stages}{hops}"
