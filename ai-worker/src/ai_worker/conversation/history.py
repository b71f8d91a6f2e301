"""What was said and what was heard: the truth that the language model is shown, and that a successor rebuilds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from ai_worker.conversation.actions import OUTCOMES, LineAction
from ai_worker.providers.base import ChatMessage
from callbus import transcript

# How long speech is when its audio is not all there yet: a middling speaker's ms for one character.
MS_PER_CHAR = 62


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

    def heard_by(self, heard_ms: int, total_ms: int) -> str:
        """The words that were heard whole after `heard_ms`; `total_ms` of audio had arrived by then."""
        length = self.synthesised_ms or max(total_ms, len(self.text) * MS_PER_CHAR)
        if heard_ms <= 0 or length <= 0:
            return ""
        reached = math.floor(len(self.text) * heard_ms / length)
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
class History:
    """The conversation so far, in the order in which it happened."""

    said: list[str | Segment] = field(default_factory=list)
    """The caller's turns as text, the bot's sentences as segments."""
    turn: int = 0
    segments: dict[str, Segment] = field(default_factory=dict)
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

    @property
    def unsettled(self) -> list[Segment]:
        """Sentences of which it is not known whether they were heard."""
        return [segment for segment in self.segments.values() if not segment.settled]

    @property
    def unanswered(self) -> bool:
        """Whether the caller's words are the last thing that happened."""
        return bool(self.said) and isinstance(self.said[-1], str)

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
            segments.insert(0, item)
        return segments

    def messages(self, instructions: str) -> tuple[ChatMessage, ...]:
        """The conversation for a chat model: only what was heard counts as said, and roles alternate."""
        turns: list[tuple[str, list[str]]] = []
        for item in self.said:
            if isinstance(item, str):
                role, text = "user", item
            else:
                # Nothing is known of it yet: taken for heard if it is being heard.
                unknown = item.text if item.playing else ""
                role, text = "assistant", unknown if item.heard is None else item.heard
                if item.interrupted and text and not item.continued:
                    text += " …"
            if not text:
                continue
            if not turns or turns[-1][0] != role:
                turns.append((role, []))
            turns[-1][1].append(text)
        system = (ChatMessage("system", instructions),) if instructions else ()
        return system + tuple(
            ChatMessage("user" if role == "user" else "assistant", " ".join(texts)) for role, texts in turns
        )

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
