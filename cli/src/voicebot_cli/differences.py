"""What two runs of one call have in common and what not, turn by turn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.text import Text

from voicebot_cli.phrases import plain
from voicebot_cli.recorded import RecordedCall
from voicebot_cli.story import StoryTurn

MUCH_SLOWER_MS = 300.0
"""A difference of an answer's time that is more than chance."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing of a turn, then and now: the same, or not."""

    what: str
    then: str
    now: str
    same: bool


@dataclass(slots=True)
class Difference:
    """One turn."""

    title: str
    lines: list[Line] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether anything is not the same."""
        return any(not line.same for line in self.lines)


def compare(recorded: RecordedCall, now: Sequence[StoryTurn], *, agent: str, ended: str) -> list[Difference]:
    """The recorded call's turns against those of its replay, whose first is what came before the first piece."""
    found = []
    of_piece = {piece.turn: number for number, piece in reversed(list(enumerate(recorded.pieces, start=1)))}
    last_piece = 0
    for number, then in enumerate(recorded.turns):
        place = of_piece.get(number, last_piece if number else 0)
        if number and place == last_piece:
            # Nothing of the caller's in it: it belongs to the turn before.
            continue
        following = next((of_piece[n] for n in range(number + 1, len(recorded.turns)) if n in of_piece), None)
        span = now[place : following if following is not None else None]
        last_piece = place
        found.append(_turn(number, then, span))
    whole = Difference("call")
    whole.lines.append(_line("agent", recorded.agent, agent))
    whole.lines.append(_line("ended by", recorded.ended_by, ended))
    return [*found, whole]


def _turn(number: int, then: StoryTurn, span: Sequence[StoryTurn]) -> Difference:
    made = Difference(f"turn {number}" if number else "greeting")
    if not span:
        made.lines.append(Line("turn", then.understood or then.said, "not reached", same=False))
        return made
    if then.understood is not None:
        made.lines.append(_line("caller", then.understood, _joined(turn.understood for turn in span)))
    if then.pressed:
        keys = _joined(digits for _, digits in then.pressed)
        made.lines.append(_line("pressed", keys, _joined(digits for turn in span for _, digits in turn.pressed)))
    made.lines.append(_line("heard", then.heard, _joined(turn.heard for turn in span)))
    for what, before, after in (
        ("unheard", _unheard(then), _joined(map(_unheard, span))),
        ("done", _joined(then.done), _joined(action for turn in span for action in turn.done)),
        ("operator", _joined(then.operator), _joined(wish for turn in span for wish in turn.operator)),
    ):
        if before or after:
            made.lines.append(_line(what, before, after))
    made.lines += _times(then.voice_to_voice_ms, next((t.voice_to_voice_ms for t in span if t.voice_to_voice_ms), None))
    return made


def _unheard(turn: StoryTurn) -> str:
    """What was said and not heard."""
    return _joined(said.text.removeprefix(said.heard or "").strip() for said in turn.bot if said.heard != said.text)


def _times(then: float | None, now: float | None) -> list[Line]:
    if then is None and now is None:
        return []
    same = then is not None and now is not None and abs(then - now) <= MUCH_SLOWER_MS
    return [Line("answered in", _ms(then), _ms(now), same)]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} ms"


def _line(what: str, then: str, now: str) -> Line:
    return Line(what, then, now, same=plain(then) == plain(now))


def _joined(parts: Iterable[str | None]) -> str:
    return " ".join(part for part in parts if part)


def show(differences: Sequence[Difference], remarks: Sequence[str], console: Console) -> None:
    """For a reader: `=` is the same, `-` is then, `+` is now."""
    for turn in differences:
        console.print(Text(turn.title, style="bold yellow" if turn.differs else "bold"))
        for line in turn.lines:
            if line.what == "answered in":
                text = f"  {'=' if line.same else '~'} {line.what:<12}{line.then} → {line.now}"
                console.print(Text(text, style="dim" if line.same else "yellow"))
            elif line.same:
                console.print(Text(f"  = {line.what:<12}{line.now}", style="dim"), soft_wrap=True)
            else:
                console.print(Text(f"  - {line.what:<12}{line.then or '(nothing)'}", style="red"), soft_wrap=True)
                console.print(Text(f"  + {line.what:<12}{line.now or '(nothing)'}", style="green"), soft_wrap=True)
    for remark in remarks:
        console.print(Text(f"note: {remark}", style="yellow"), soft_wrap=True)
    count = sum(turn.differs for turn in differences)
    console.print(f"{count} of {len(differences)} parts differ" if count else "Nothing differs.", style="bold")
