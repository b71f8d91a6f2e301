"""A conversation in turns: what the caller was understood to say, and all that the bot said and did until the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from callbus import transcript as tr
from callbus import wishes


@dataclass(slots=True)
class Sentence:
    """A sentence of the bot. `heard` is None as long as nothing says that it was played."""

    text: str
    heard: str | None = None
    interrupted: bool = False
    started_at: float | None = None
    ended_at: float | None = None


@dataclass(slots=True)
class StoryTurn:
    """Times are epoch seconds. The caller's words are None for what came before they spoke."""

    understood: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    pressed: list[tuple[float, str]] = field(default_factory=list)
    bot: list[Sentence] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """Actions that were carried out and tools that were used, such as `transfer 33187654321`."""
    operator: list[str] = field(default_factory=list)
    """What an operator at the console wanted done: wishes such as `mute`, with the reason where one was refused."""
    voice_to_voice_ms: float | None = None

    @property
    def heard(self) -> str:
        """What the caller heard of the bot."""
        return " ".join(sentence.heard for sentence in self.bot if sentence.heard)

    @property
    def said(self) -> str:
        """What the bot said or was about to say."""
        return " ".join(sentence.text for sentence in self.bot)


def from_record(record: Mapping[str, Any]) -> list[StoryTurn]:
    """The turns of a `call.json`. Raises KeyError, TypeError for what is none."""
    return [
        StoryTurn(
            understood=turn["caller"]["text"] if turn["caller"] else None,
            started_at=turn["caller"]["started_at"] if turn["caller"] else None,
            ended_at=turn["caller"]["ended_at"] if turn["caller"] else None,
            pressed=[(pressed["at"], pressed["digits"]) for pressed in turn["pressed"]],
            bot=[
                Sentence(
                    said["text"], said["heard_text"], said["interrupted"], said.get("started_at"), said.get("ended_at")
                )
                for said in turn["bot"]
            ],
            done=[
                *(_action(action["kind"], action["argument"]) for action in turn["actions"] if action["done_at"]),
                *(_tool(tool["name"], tool["arguments"], bool(tool.get("failed"))) for tool in turn["tools"]),
            ],
            operator=[wish for note in turn["notes"] if (wish := _wish(note["note"]))],
            voice_to_voice_ms=turn["timing"]["voice_to_voice_ms"] if turn["timing"] else None,
        )
        for turn in record["turns"]
    ]


def by_spans(entries: Sequence[tr.Entry], begins: Sequence[float]) -> list[StoryTurn]:
    """A turn for each moment (epoch s) at which the caller began something, and one before the first.

    What names the caller's turn that it answers is put there; anything else goes by its time.
    """
    turns = [StoryTurn() for _ in range(len(begins) + 1)]
    spans = list(pairwise([float("-inf"), *begins, float("inf")]))

    def at(moment: float) -> int:
        return next(index for index, (start, end) in enumerate(spans) if start <= moment < end)

    failed = {entry.tool_call_id for entry in entries if isinstance(entry, tr.ToolUsed) and entry.state == "failed"}
    spoken = {entry.turn: at(entry.at) for entry in entries if isinstance(entry, tr.CallerSaid)}
    segments: dict[str, Sentence] = {}
    for entry in _once(entries):
        match entry:
            case tr.CallerSaid():
                turn = turns[spoken[entry.turn]]
                turn.understood = f"{turn.understood} {entry.text}" if turn.understood else entry.text
                turn.started_at, turn.ended_at = turn.started_at or entry.started_at, entry.at
            case tr.CallerPressed():
                turns[at(entry.at)].pressed.append((entry.at, entry.digits))
            case tr.BotSays():
                sentence = segments[entry.segment] = Sentence(entry.text)
                turns[spoken.get(entry.reply_to, at(entry.at))].bot.append(sentence)
            case tr.BotHeard() if entry.segment in segments:
                sentence = segments[entry.segment]
                sentence.heard, sentence.interrupted = entry.heard_text, entry.interrupted
                sentence.started_at, sentence.ended_at = entry.started_at, entry.at
            case tr.Acted(state="done"):
                turns[at(entry.at)].done.append(_action(entry.kind, entry.argument))
            case tr.ToolUsed(state="asked"):
                tools = turns[spoken.get(entry.turn, at(entry.at))].done
                tools.append(_tool(entry.name, entry.arguments, entry.tool_call_id in failed))
            case tr.Noted() if wish := _wish(entry.note):
                turns[at(entry.at)].operator.append(wish)
            case tr.TurnTimed() if entry.turn in spoken:
                turns[spoken[entry.turn]].voice_to_voice_ms = entry.voice_to_voice_ms
            case _:
                pass
    return turns


def _action(kind: str, argument: str) -> str:
    return f"{kind} {argument}".strip()


def _tool(name: str, arguments: str, failed: bool) -> str:
    return f"tool {name} {arguments}{' (failed)' if failed else ''}"


def _wish(note: str) -> str:
    noted = wishes.read_note(note)
    return f"{noted.wish}{f' ({noted.refused})' if noted.refused else ''}" if noted else ""


def _once(entries: Iterable[tr.Entry]) -> Iterable[tr.Entry]:
    """An outage of Redis can write an entry twice: to the millisecond the same, it is the same."""
    seen: list[tr.Entry] = []
    for entry in entries:
        if entry not in seen:
            seen.append(entry)
            yield entry
