"""What was said and what was heard of it, in its order: the truth that the language model is shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ai_worker.conversation.actions import LineAction
from ai_worker.conversation.scripted import Sentence, sentences
from ai_worker.conversation.segment import Segment
from ai_worker.providers.base import ChatMessage, ToolCall

_GO_ON = (
    "Your last answer broke off after these words. Go on right after them, without saying any of them again. "
    "If nothing is missing, ask whether there is anything else."
)
_LATEST = 12
"""More sentences are not heard within a few seconds."""
_UNKNOWN_RESULT = "The result is not known. It may have been done: do not call this again."
_RUNNING = "It is still running. Its result follows by itself: do not call this again."
_NEWS = "Since your last words, the result of a tool has come, which the caller waits for. Tell him what it says."
INTERRUPTED = (
    "It was NOT done: you were interrupted before you had finished speaking. Call this again if it is still wanted."
)


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
    say: str = ""
    """What that call wants said right before."""


@dataclass(slots=True)
class Exchange:
    """One tool call of the language model, and its result once it is known; `running` in this worker until then."""

    call: ToolCall
    result: str | None = None
    running: bool = False


@dataclass(slots=True)
class History:
    """The conversation so far, in the order in which it happened."""

    said: list[str | Segment | Exchange] = field(default_factory=list)
    """The caller's turns as text, the bot's sentences as segments, the tools' work between them."""
    turn: int = 0
    segments: dict[str, Segment] = field(default_factory=dict)
    exchanges: dict[str, Exchange] = field(default_factory=dict)
    planned: list[PendingAction] = field(default_factory=list)
    """What is to be done on the line, in this order."""
    outcome: str | None = None
    """What has become of the call, once the bot has left it."""
    finished: bool = False
    resume_from: str | None = None
    """Entry id on the call's in stream up to which the caller has been understood."""
    wishes: set[str] = field(default_factory=set)
    """The operators' wishes that were dealt with, by their entries' ids on the call's in stream."""
    muted: bool = False
    """Whether an operator has told the bot to be silent."""
    file_may_play: bool = False
    """Whether a file was put on the line, of which nobody says when it has ended."""
    machine: bool = False
    """Whether the caller is an answering machine."""
    cut_short: bool = False
    """Whether more was to follow the bot's last sentence: its text was not whole."""
    answered_in_full: bool = False
    """Whether the answer to the last thing that happened, be it the caller's words or a tool's result, is whole."""

    def caller(self, text: str) -> None:
        self.said.append(text)
        self.cut_short = self.answered_in_full = False

    def reply_is_whole(self) -> None:
        """No more sentences follow those that were said."""
        self.cut_short, self.answered_in_full = False, True

    def bot(self, segment: Segment) -> None:
        self.answered_in_full = False
        for earlier in self._since_caller():
            if earlier.interrupted and earlier.unheard == segment.text:
                earlier.continued = True
                segment.continues = earlier
                break
        else:
            self.cut_short = True
        self.said.append(segment)
        self.segments[segment.id] = segment

    @property
    def pending(self) -> PendingAction | None:
        """What is to be done on the line next."""
        return self.planned[0] if self.planned else None

    def asked(self, call: ToolCall, *, running: bool = False) -> None:
        exchange = self.exchanges[call.id] = Exchange(call, running=running)
        self.said.append(exchange)
        self.answered_in_full = False

    def answered(self, tool_call_id: str, result: str) -> Exchange | None:
        """A tool's result, once; None for one that was known already, or never asked for.

        What was said while it was waited for ("one moment, please") then stands before the call: for the model, the
        result is what came last, and it is to go on from there.
        """
        exchange = self.exchanges.get(tool_call_id)
        if exchange is None or exchange.result is not None:
            return None
        exchange.result = result
        self.answered_in_full = False
        place = next(index for index, item in enumerate(self.said) if item is exchange)
        self.said.append(self.said.pop(place))
        return exchange

    def failed(self, tool_call_id: str, result: str) -> Exchange | None:
        """What a tool was said to do can't be done: that is its result; None for one that was never asked for."""
        exchange = self.exchanges.get(tool_call_id)
        if exchange:
            exchange.result = result
        return exchange

    @property
    def without_result(self) -> list[ToolCall]:
        """The tool calls of which it is not known what became of them."""
        return [exchange.call for exchange in self.exchanges.values() if exchange.result is None]

    @property
    def unsettled(self) -> list[Segment]:
        """Sentences of which it is not known whether they were heard."""
        return [segment for segment in self.segments.values() if not segment.settled]

    @property
    def unanswered(self) -> bool:
        """Whether the caller's words, or a tool's result, are the last thing that happened, and want an answer."""
        return bool(self.said) and not isinstance(self.said[-1], Segment) and not self.answered_in_full

    @property
    def announced(self) -> bool:
        """Whether what the bot says before it does the pending action is known: it was said since it was planned, or
        nothing more was to be said."""
        return self.pending is not None and (self.answered_in_full or len(self.said) > self.pending.planned_after)

    def left_to_announce(self, action: PendingAction) -> list[Sentence] | None:
        """What a tool call wants said before the pending action, and was not said yet; None when the bot's answer,
        which comes before that, is not whole."""
        whole = sentences(action.say)
        said = [segment.text for segment in self._since_caller() if not segment.continues]
        for begun in range(min(len(whole), len(said)), 0, -1):
            if said[-begun:] == [sentence.text for sentence in whole[:begun]]:
                return whole[begun:]
        return whole if self.answered_in_full else None

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

    def heard_between(self, begin: float, end: float, language: str) -> str:
        """What the caller heard of the bot between two moments, by this worker's clock; the words at both ends too."""
        latest = list(self.segments.values())[-_LATEST:]
        heard = [segment.heard_between(begin, end, language) for segment in latest]
        return " ".join(filter(None, heard))

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
        return [segment.rest for segment in ending]

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

    def messages(
        self,
        instructions: str,
        *,
        next_turn: str = "",
        coming: Sequence[Segment] = (),
        to_go_on: bool = False,
        news: bool = False,
    ) -> tuple[ChatMessage, ...]:
        """The conversation for a chat model: only what was heard counts as said, and roles alternate.

        `next_turn` is what the caller is saying just now. The sentences that are `coming` will be heard before anything
        that the model writes now: they count as said. `to_go_on` asks for the rest of the bot's last words. `news`: the
        result of a tool is there that the caller has not been told.
        """
        sure = frozenset(segment.id for segment in coming)
        again = {segment.continues.id: segment for segment in self.segments.values() if segment.continues}
        messages: list[ChatMessage] = [ChatMessage("system", instructions)] if instructions else []
        for item in (*self.said, next_turn) if next_turn else self.said:
            if isinstance(item, Exchange):
                before = messages.pop().content if messages and _is_plain(messages[-1], "assistant") else ""
                messages.append(ChatMessage("assistant", before, (item.call,)))
                unknown = _RUNNING if item.running else _UNKNOWN_RESULT
                result = item.result if item.result is not None else unknown
                messages.append(ChatMessage("tool", result, tool_call_id=item.call.id))
                continue
            role: Literal["user", "assistant"] = "user" if isinstance(item, str) else "assistant"
            text = item if isinstance(item, str) else _as_heard(item, again, sure)
            if not text:
                continue
            if messages and _is_plain(messages[-1], role):
                text = f"{messages.pop().content} {text}"
            messages.append(ChatMessage(role, text))
        if to_go_on:
            messages.append(ChatMessage("system", _GO_ON))
        elif news and isinstance(self.said[-1], Segment):
            messages.append(ChatMessage("system", _NEWS))
        return tuple(messages)


def _is_plain(message: ChatMessage, role: str) -> bool:
    return message.role == role and not message.tool_calls


def _as_heard(segment: Segment, again: Mapping[str, Segment], sure: Collection[str]) -> str:
    """What was heard of it, and where its rest was said `again`, of that; "" for such a rest, which has its place."""
    parts: list[str] = []
    part: Segment | None = None if segment.continues else segment
    while part:
        parts.append(_heard_of(part, coming=part.id in sure))
        part = again.get(part.id)
    return " ".join(filter(None, parts))


def _heard_of(segment: Segment, *, coming: bool) -> str:
    # What nothing is known of yet is taken for heard if it is being heard.
    if coming or (segment.heard is None and segment.playing):
        return segment.text
    cut = segment.interrupted and segment.heard and not segment.continued
    return f"{segment.heard} …" if cut else segment.heard or ""
