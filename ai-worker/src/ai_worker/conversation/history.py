"""What was said and what was heard: the truth that the language model is shown, and that a successor rebuilds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ai_worker.conversation.actions import OUTCOMES, LineAction
from ai_worker.providers.base import ChatMessage, ToolCall
from ai_worker.saying import spoken
from callbus import transcript

# How long speech is when its audio is not all there yet: a middling speaker's ms for one character.
MS_PER_CHAR = 62

_UNKNOWN_RESULT = "The result is not known. It may have been done: do not call this again."


@dataclass(slots=True)
class Segment:
    """One sentence of the bot. `heard` is None while nothing is known to be final.

    `sounding` says that audio of it is on its way to the caller, `playing` that it is being heard; `continued` that its
    unheard words were said again, in another segment.
    """

    id: str
    text: str
    turn: int
    heard: str | None = None
    interrupted: bool = False
    continued: bool = False
    sounding: bool = False
    playing: bool = False
    failed: bool = False
    synthesised_ms: int | None = None
    started_at: float | None = None

    @property
    def settled(self) -> bool:
        return self.heard is not None

    @property
    def unheard(self) -> str:
        """The words that the caller has not heard, in this segment or another one."""
        return "" if self.continued else self.text[len(self.heard or "") :].strip()

    def heard_by(self, heard_ms: int, total_ms: int, language: str = "en") -> str:
        """The words that were heard whole after `heard_ms`; `total_ms` of audio had arrived by then.

        A number takes as long as its words take, so the place is looked for in the text as it was said.
        """
        said = spoken(self.text, language)
        length = self.synthesised_ms or max(total_ms, len(said.text) * MS_PER_CHAR)
        if heard_ms <= 0 or length <= 0:
            return ""
        if heard_ms >= length:
            return self.text
        reached = said.original_prefix(math.floor(len(said.text) * heard_ms / length))
        if reached >= len(self.text):
            return self.text
        # A word that was cut in the middle was not heard.
        return self.text[: max(0, self.text.rfind(" ", 0, reached + 1))].rstrip()


@dataclass(slots=True)
class PendingAction:
    """A transfer, hang-up or key press that follows when what the bot says first was heard."""

    action_id: str
    kind: LineAction
    argument: str
    asked: bool = False
    planned_after: int = 0
    """How much had been said before it was planned."""


@dataclass(slots=True)
class Exchange:
    """One tool call of the language model, and its result once it is known."""

    call: ToolCall
    result: str | None = None


@dataclass(slots=True)
class History:
    """The conversation so far, in the order in which it happened."""

    said: list[str | Segment | Exchange] = field(default_factory=list)
    """The caller's turns as text, the bot's sentences as segments, the tools' work between them."""
    turn: int = 0
    segments: dict[str, Segment] = field(default_factory=dict)
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    pending: PendingAction | None = None
    outcome: str | None = None
    """What has become of the call, once the bot has left it."""
    finished: bool = False
    resume_from: str | None = None
    """Entry id on the call's in stream up to which the caller has been understood."""

    def caller(self, text: str) -> None:
        self.said.append(text)

    def bot(self, segment: Segment) -> None:
        for earlier in self._since_caller():
            if earlier.interrupted and earlier.unheard == segment.text:
                earlier.continued = True
                break
        self.said.append(segment)
        self.segments[segment.id] = segment

    def asked(self, call: ToolCall) -> None:
        exchange = self.exchanges[call.id] = Exchange(call)
        self.said.append(exchange)

    def answered(self, tool_call_id: str, result: str) -> Exchange | None:
        """A tool's result, once; None for one that was known already, or never asked for.

        What the bot said while it waited ("one moment, please") then stands before the call: for the model, the result
        is what came last, and it is to go on from there.
        """
        exchange = self.exchanges.get(tool_call_id)
        if exchange is None or exchange.result is not None:
            return None
        exchange.result = result
        place = next(index for index, item in enumerate(self.said) if item is exchange)
        if not any(isinstance(item, str) for item in self.said[place:]):
            self.said.append(self.said.pop(place))
        return exchange

    @property
    def unsettled(self) -> list[Segment]:
        """Sentences of which it is not known whether they were heard."""
        return [segment for segment in self.segments.values() if not segment.settled]

    @property
    def unanswered(self) -> bool:
        """Whether the caller's words, or a tool's result, are the last thing that happened."""
        return bool(self.said) and not isinstance(self.said[-1], Segment)

    @property
    def announced(self) -> bool:
        """Whether anything was said since the pending action was planned."""
        return self.pending is not None and len(self.said) > self.pending.planned_after

    def unheard_ending(self) -> list[str]:
        """What the caller has not heard of the bot's last words, when nothing followed them."""
        ending: list[Segment] = []
        for segment in reversed(self._since_caller()):
            # What stands before a sentence that was heard, or in another reply, was given up.
            if not segment.unheard or (ending and segment.turn != ending[0].turn):
                break
            ending.insert(0, segment)
        return [segment.unheard for segment in ending]

    def _since_caller(self) -> list[Segment]:
        """The bot's sentences since the caller's last words."""
        segments: list[Segment] = []
        for item in reversed(self.said):
            if isinstance(item, str):
                break
            if isinstance(item, Segment):
                segments.insert(0, item)
        return segments

    def messages(self, instructions: str) -> tuple[ChatMessage, ...]:
        """The conversation for a chat model: only what was heard counts as said, and roles alternate."""
        messages: list[ChatMessage] = [ChatMessage("system", instructions)] if instructions else []
        for item in self.said:
            if isinstance(item, Exchange):
                before = messages.pop().content if messages and _is_plain(messages[-1], "assistant") else ""
                messages.append(ChatMessage("assistant", before, (item.call,)))
                result = item.result if item.result is not None else _UNKNOWN_RESULT
                messages.append(ChatMessage("tool", result, tool_call_id=item.call.id))
                continue
            role: Literal["user", "assistant"] = "user" if isinstance(item, str) else "assistant"
            text = item if isinstance(item, str) else _as_heard(item)
            if not text:
                continue
            if messages and _is_plain(messages[-1], role):
                text = f"{messages.pop().content} {text}"
            messages.append(ChatMessage(role, text))
        return tuple(messages)

    @classmethod
    def rebuilt(cls, entries: Iterable[transcript.Entry]) -> History:
        """The history as another worker wrote it down."""
        history = cls()
        for entry in entries:
            match entry:
                case transcript.CallerSaid():
                    history.caller(entry.text)
                    history.turn = entry.turn
                    history.resume_from = entry.in_id
                case transcript.BotSays():
                    history.bot(Segment(entry.segment, entry.text, entry.reply_to))
                case transcript.BotHeard():
                    if segment := history.segments.get(entry.segment):
                        segment.heard = entry.heard_text
                        segment.interrupted = entry.interrupted
                        segment.started_at = entry.started_at
                case transcript.Acted():
                    history._acted(entry)
                case transcript.ToolUsed(state="asked"):
                    history.asked(ToolCall(entry.tool_call_id, entry.name, entry.arguments))
                case transcript.ToolUsed():
                    history.answered(entry.tool_call_id, entry.result)
                case transcript.Finished():
                    history.outcome, history.finished = entry.outcome, True
                case _:
                    pass
        return history

    def _acted(self, entry: transcript.Acted) -> None:
        if entry.state in ("planned", "asked"):
            asked = entry.state == "asked"
            after = self.pending.planned_after if asked and self.pending else len(self.said)
            self.pending = PendingAction(entry.action_id, entry.kind, entry.argument, asked, after)
            return
        if self.pending and self.pending.action_id == entry.action_id:
            self.pending = None
        if entry.state == "done":
            self.outcome = OUTCOMES.get(entry.kind, self.outcome)


def _is_plain(message: ChatMessage, role: str) -> bool:
    return message.role == role and not message.tool_calls


def _as_heard(segment: Segment) -> str:
    if segment.heard is None:
        # Nothing is known of it yet: taken for heard if it is being heard.
        return segment.text if segment.playing else ""
    cut = segment.interrupted and segment.heard and not segment.continued
    return f"{segment.heard} …" if cut else segment.heard
