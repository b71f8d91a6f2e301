"""What was said and what was heard: the truth that the language model is shown, and that a successor rebuilds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from ai_worker.conversation.actions import OUTCOMES, LineAction
from ai_worker.conversation.scripted import Sentence
from ai_worker.providers.base import ChatMessage, SaidUntil, ToolCall
from ai_worker.saying import spoken
from callbus import transcript

# How long speech is when its audio is not all there yet: a middling speaker's ms for one character.
MS_PER_CHAR = 62

_GO_ON = (
    "Your last answer broke off after these words. Go on right after them, without saying any of them again. "
    "If nothing is missing, ask whether there is anything else."
)
_UNKNOWN_RESULT = "The result is not known. It may have been done: do not call this again."


@dataclass(slots=True)
class Segment:
    """One sentence of the bot. `heard` is None while nothing is known to be final.

    `sounding` says that audio of it is on its way to the caller, `playing` that it is being heard; `continued` that its
    unheard words were said again, in another segment, which `continues` this one. The bot can't be interrupted until a
    `protected` one was heard.
    """

    id: str
    text: str
    turn: int
    protected: bool = False
    heard: str | None = None
    interrupted: bool = False
    continued: bool = False
    sounding: bool = False
    playing: bool = False
    failed: bool = False
    continues: Segment | None = field(default=None, repr=False, compare=False)
    synthesised_ms: int | None = None
    started_at: float | None = None
    timed: list[SaidUntil] = field(default_factory=list)
    """When which words will have been said, as far as the TTS knows; they count the text as it is said."""

    @property
    def settled(self) -> bool:
        return self.heard is not None

    @property
    def must_be_heard(self) -> bool:
        """Whether the caller has to hear (more of) it before he can interrupt."""
        return self.protected and (not self.settled or (self.interrupted and not self.failed and self.unheard != ""))

    @property
    def unheard(self) -> str:
        """The words that the caller has not heard, in this segment or another one."""
        return "" if self.continued else self.text[len(self.heard or "") :].strip()

    def heard_by(self, heard_ms: int, total_ms: int, language: str = "en") -> str:
        """The words that were heard whole after `heard_ms`; `total_ms` of audio had arrived by then.

        A number takes as long as its words take, so the place is looked for in the text as it was said: between the
        words that the TTS has timed, or where it would be if every letter took the same time.
        """
        said = spoken(self.text, language)
        length = self.synthesised_ms or max(total_ms, self._expected_ms(len(said.text)))
        if heard_ms <= 0 or length <= 0:
            return ""
        if heard_ms >= length:
            return self.text
        reached = said.original_prefix(self._said_by(heard_ms, len(said.text), length))
        if reached >= len(self.text):
            return self.text
        # A word that was cut in the middle was not heard.
        return self.text[: max(0, self.text.rfind(" ", 0, reached + 1))].rstrip()

    def _expected_ms(self, chars: int) -> float:
        if not self.timed:
            return chars * MS_PER_CHAR
        last = self.timed[-1]
        return last.ms + (chars - last.chars) * last.ms / last.chars

    def _said_by(self, heard_ms: int, chars: int, length: float) -> int:
        """How many of `chars` characters, which take `length` ms, are said after `heard_ms`."""
        before, after = SaidUntil(0, 0), None
        for word in self.timed:
            if word.ms > heard_ms:
                after = word
                break
            before = word
        end_chars, end_ms = (after.chars, after.ms) if after else (chars, length)
        share = (heard_ms - before.ms) / (end_ms - before.ms)
        return math.floor(before.chars + (end_chars - before.chars) * share)


@dataclass(slots=True)
class PendingAction:
    """A transfer, hang-up or key press that follows when what the bot says first was heard."""

    action_id: str
    kind: LineAction
    argument: str
    asked: bool = False
    planned_after: int = 0
    """How much had been said before it was planned."""
    tool_call_id: str = ""
    """The language model's tool call that wants it done."""


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
    machine: bool = False
    """Whether the caller is an answering machine."""
    cut_short: bool = False
    """Whether more was to follow the bot's last sentence: its text was not whole."""

    def caller(self, text: str) -> None:
        self.said.append(text)
        self.cut_short = False

    def bot(self, segment: Segment) -> None:
        for earlier in self._since_caller():
            if earlier.interrupted and earlier.unheard == segment.text:
                earlier.continued = True
                segment.continues = earlier
                break
        else:
            self.cut_short = True
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

    def failed(self, tool_call_id: str, result: str) -> Exchange | None:
        """What a tool was said to do can't be done: that is its result; None for one that was never asked for."""
        exchange = self.exchanges.get(tool_call_id)
        if exchange:
            exchange.result = result
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

    @property
    def must_be_heard(self) -> bool:
        """Whether the caller has to hear more of the bot's last words before he can interrupt them."""
        return any(segment.must_be_heard for segment in self._since_caller())

    @property
    def callers_words(self) -> str:
        """What the caller said last."""
        return next((item for item in reversed(self.said) if isinstance(item, str)), "")

    def said_in_turn(self) -> list[str]:
        """The sentences with which the bot has answered the caller's last words so far, each once; none if it has said
        anything else since."""
        since = self._since_caller()
        if not since or since[-1].turn != self.turn:
            return []
        return [segment.text for segment in since if segment.turn == self.turn and not segment.continues]

    def latest_reply(self) -> list[Segment]:
        """The bot's sentences since the caller's last words, and the ones of the answer before those."""
        segments = [item for item in self.said if isinstance(item, Segment)]
        return segments[-8:]

    @property
    def last_heard(self) -> str:
        """What the caller has heard of the bot since the caller's last words."""
        return " ".join(filter(None, (segment.heard for segment in self._since_caller())))

    def unheard_ending(self) -> list[Sentence]:
        """What the caller has not heard of the bot's last words, when nothing followed them."""
        ending: list[Segment] = []
        for segment in reversed(self._in_their_places()):
            # What stands before a sentence that was heard, or in another reply, was given up.
            if not segment.unheard or (ending and segment.turn != ending[0].turn):
                break
            ending.insert(0, segment)
        return [Sentence(segment.unheard, segment.protected) for segment in ending]

    def _in_their_places(self) -> list[Segment]:
        """The bot's sentences since the caller's last words, what was said again where it stood first."""
        segments: list[Segment] = []
        for segment in self._since_caller():
            if segment.continues:
                segments[segments.index(segment.continues)] = segment
            else:
                segments.append(segment)
        return segments

    def _since_caller(self) -> list[Segment]:
        """The bot's sentences since the caller's last words."""
        segments: list[Segment] = []
        for item in reversed(self.said):
            if isinstance(item, str):
                break
            if isinstance(item, Segment):
                segments.insert(0, item)
        return segments

    def messages(self, instructions: str, *, next_turn: str = "", to_go_on: bool = False) -> tuple[ChatMessage, ...]:
        """The conversation for a chat model: only what was heard counts as said, and roles alternate.

        `next_turn` is what the caller is saying just now. `to_go_on` asks for the rest of the bot's last words: what
        the caller will hear of them in a moment counts as said.
        """
        messages: list[ChatMessage] = [ChatMessage("system", instructions)] if instructions else []
        for item in (*self.said, next_turn) if next_turn else self.said:
            if isinstance(item, Exchange):
                before = messages.pop().content if messages and _is_plain(messages[-1], "assistant") else ""
                messages.append(ChatMessage("assistant", before, (item.call,)))
                result = item.result if item.result is not None else _UNKNOWN_RESULT
                messages.append(ChatMessage("tool", result, tool_call_id=item.call.id))
                continue
            role: Literal["user", "assistant"] = "user" if isinstance(item, str) else "assistant"
            text = item if isinstance(item, str) else _as_heard(item, to_be_heard=to_go_on)
            if not text:
                continue
            if messages and _is_plain(messages[-1], role):
                text = f"{messages.pop().content} {text}"
            messages.append(ChatMessage(role, text))
        if to_go_on:
            messages.append(ChatMessage("system", _GO_ON))
        return tuple(messages)

    @classmethod
    def rebuilt(cls, entries: Iterable[transcript.Entry]) -> History:
        """The history as another worker wrote it down. An entry can be there twice: an outage of Redis does that."""
        history = cls()
        for entry in entries:
            match entry:
                case transcript.CallerSaid() if entry.turn > history.turn:
                    history.caller(entry.text)
                    history.turn = entry.turn
                    history.resume_from = entry.in_id
                case transcript.BotSays() if entry.segment not in history.segments:
                    history.bot(Segment(entry.segment, entry.text, entry.reply_to, entry.protected))
                case transcript.Answered():
                    history.cut_short = False
                case transcript.BotHeard():
                    if segment := history.segments.get(entry.segment):
                        segment.heard = entry.heard_text
                        segment.interrupted = entry.interrupted
                        segment.started_at = entry.started_at
                case transcript.Acted():
                    history._acted(entry)
                case transcript.ToolUsed(state="asked") if entry.tool_call_id in history.exchanges:
                    pass
                case transcript.ToolUsed(state="asked"):
                    history.asked(ToolCall(entry.tool_call_id, entry.name, entry.arguments))
                case transcript.ToolUsed(state="failed"):
                    history.failed(entry.tool_call_id, entry.result)
                case transcript.ToolUsed():
                    history.answered(entry.tool_call_id, entry.result)
                case transcript.MachineHeard():
                    history.machine = True
                case transcript.Finished():
                    history.outcome, history.finished = entry.outcome, True
                case _:
                    pass
        return history

    def _acted(self, entry: transcript.Acted) -> None:
        if entry.state == "planned" and self.pending and self.pending.action_id == entry.action_id:
            return
        if entry.state in ("planned", "asked"):
            asked = entry.state == "asked"
            after = self.pending.planned_after if asked and self.pending else len(self.said)
            self.pending = PendingAction(entry.action_id, entry.kind, entry.argument, asked, after, entry.tool_call_id)
            return
        if self.pending and self.pending.action_id == entry.action_id:
            self.pending = None
        if entry.state == "done":
            self.outcome = OUTCOMES.get(entry.kind, self.outcome)


def _is_plain(message: ChatMessage, role: str) -> bool:
    return message.role == role and not message.tool_calls


def _as_heard(segment: Segment, *, to_be_heard: bool = False) -> str:
    if segment.heard is None:
        # Nothing is known of it yet: taken for heard if it is being heard.
        return segment.text if segment.playing or to_be_heard else ""
    cut = segment.interrupted and segment.heard and not segment.continued
    return f"{segment.heard} …" if cut else segment.heard
