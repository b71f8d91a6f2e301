"""The bot's voice: one reply as it is written, spoken, heard, held back and resumed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ai_worker.conversation.actions import Say, StopSpeaking, Unsay
from ai_worker.conversation.context import Context
from ai_worker.conversation.endpointing import words
from ai_worker.conversation.events import Played
from ai_worker.conversation.history import PendingAction
from ai_worker.conversation.scripted import Sentence
from ai_worker.conversation.segment import Segment
from ai_worker.conversation.sentences import SentenceSplitter
from ai_worker.providers.base import SaidUntil, ToolCall
from callbus import transcript


@dataclass(slots=True)
class Reply:
    """One answer, from the first thought to the last word heard.

    `turn` is the caller's turn that it answers (0: a greeting or prompt of the bot's own). Only what `yields` can be
    interrupted. `paused` holds sentences back while it is not clear whether the caller really interrupts; `unasked`
    says that the model is asked as soon as it is known what was heard before. `excused` replies contain an apology.
    `asked` are the tool calls as the model wrote them, `calls` those of the answer it is writing, `working` those that
    run; `to_tell` says that the model is to know of a result. A reply that is `going_on` was begun by another worker:
    what of it is `known` already, the model may repeat. `whole` says that all of the text is written down. `broken` is
    a sentence whose voice broke off: what follows it waits until it is known what was heard of it.
    """

    id: int
    turn: int
    yields: bool = True
    thinking: bool = False
    unasked: bool = False
    excused: bool = False
    paused: bool = False
    line_lost: bool = False
    resume_when_silent: bool = False
    action: PendingAction | None = None
    splitter: SentenceSplitter = field(default_factory=SentenceSplitter)
    waiting: list[Sentence] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    failed_segments: int = 0
    broken: Segment | None = None
    asked: set[ToolCall] = field(default_factory=set)
    calls: list[ToolCall] = field(default_factory=list)
    working: dict[str, ToolCall] = field(default_factory=dict)
    rounds: int = 0
    to_tell: bool = False
    known: frozenset[str] = frozenset()
    going_on: bool = False
    whole: bool = False

    @property
    def interruptible(self) -> bool:
        """Whether the caller can interrupt it now: not before he has heard what must be heard."""
        protected = any(sentence.protected for sentence in self.waiting)
        return self.yields and not protected and not any(segment.must_be_heard for segment in self.segments)

    @property
    def written(self) -> bool:
        """Whether no more text will come, and all of it was handed on."""
        return bool(self.segments) and not (self.thinking or self.working or self.waiting)

    @property
    def unsettled(self) -> list[Segment]:
        return [segment for segment in self.segments if not segment.settled]

    @property
    def cut(self) -> list[Segment]:
        """What was interrupted and has not been said again: the rest of it is, when the reply goes on."""
        return [segment for segment in self.segments if segment.interrupted and segment.unheard]

    @property
    def coming(self) -> list[Segment]:
        """What the caller will hear, or hear the rest of, before anything that is written from now on."""
        return [*self.unsettled, *(self.cut if self.paused or self.broken else ())]

    @property
    def finished(self) -> bool:
        return not (self.thinking or self.working or self.paused or self.waiting or self.unsettled)

    @property
    def sentences(self) -> int:
        return len(self.segments) + len(self.waiting)

    @property
    def heard(self) -> bool:
        """Whether the caller has heard, or is hearing, any of it."""
        return any(segment.heard or segment.playing for segment in self.segments)


class Mouth:
    """Speaks at most one reply at a time."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._history = context.history
        # Sentences that get no more audio: the streamer's next word on them, or its silence, is final.
        self._stopped: set[str] = set()
        self.reply: Reply | None = None

    def write(self, text: str) -> None:
        """More text of the reply."""
        if self.reply:
            self._say_new(self.reply, self.reply.splitter.feed(text))

    def written(self) -> None:
        """The reply's text is whole."""
        if self.reply:
            self.reply.thinking = False
            self._say_new(self.reply, self.reply.splitter.flush())

    def say(self, sentences: Iterable[Sentence]) -> None:
        """Whole sentences that belong to the reply."""
        reply, now = self.reply, self._context.now
        if reply is None:
            return
        if reply.paused or reply.broken:
            reply.waiting += sentences
            return
        for sentence in sentences:
            text, protected, by_operator = sentence.text, sentence.protected, sentence.by_operator
            segment = Segment(self._context.new_id(), text, reply.turn, protected, by_operator=by_operator)
            reply.segments.append(segment)
            self._history.bot(segment)
            self._context.write(transcript.BotSays(now, segment.id, text, reply.turn, protected, by_operator))
            self._context.emit(Say(segment.id, text, reply.turn))

    def _say_new(self, reply: Reply, texts: list[str]) -> None:
        self.say([Sentence(text) for text in texts if " ".join(words(text)) not in reply.known])

    def pause(self) -> None:
        """Be silent, but keep what is left: the caller may not have meant it."""
        reply = self.reply
        if reply is None:
            return
        reply.resume_when_silent = False
        if not reply.paused:
            reply.paused = True
            self._hush(reply)

    def resume(self) -> None:
        """Go on where the reply was cut."""
        reply = self.reply
        if reply is None or not reply.paused:
            return
        if reply.unsettled:
            # What was heard is on its way from the streamer; without it, words would be said twice.
            reply.resume_when_silent = True
            return
        reply.paused = reply.resume_when_silent = reply.line_lost = False
        reply.failed_segments = 0
        self._go_on(reply, reply.cut)

    def _go_on(self, reply: Reply, cut: Iterable[Segment]) -> None:
        """Say the rest of what was `cut`, and what waits behind it."""
        sentences = [*(segment.rest for segment in cut), *reply.waiting]
        reply.broken, reply.waiting = None, []
        self.say(sentences)

    def abandon(self) -> Reply | None:
        """Drop the reply for good; what was heard of it stays in the history."""
        reply, self.reply = self.reply, None
        if reply:
            self._hush(reply)
        return reply

    def silence(self) -> None:
        """Stop whatever may be on the line, of whatever reply."""
        if unsettled := self._history.unsettled:
            self._stopped.update(segment.id for segment in unsettled)
            self._context.emit(StopSpeaking())

    def sounding(self, segment_id: str) -> None:
        if segment := self._history.segments.get(segment_id):
            segment.sounding = True

    def timed(self, segment_id: str, until: SaidUntil) -> None:
        if segment := self._history.segments.get(segment_id):
            segment.timed.append(until)

    def synthesised(self, segment_id: str, ms: int) -> None:
        if segment := self._history.segments.get(segment_id):
            segment.synthesised_ms = ms

    def failed(self, segment_id: str) -> None:
        """No (more) audio will come for this segment."""
        segment = self._history.segments.get(segment_id)
        if segment is None or segment.settled:
            return
        segment.failed = True
        begun = segment.playing or segment.sounding
        if self.reply and segment in self.reply.segments:
            if begun and not (segment.said_again or self.reply.paused):
                self._hold_back_after(segment, self.reply)
            else:
                self.reply.failed_segments += 1
        if not begun:
            self._settle(segment, "", interrupted=True)

    def _hold_back_after(self, broken: Segment, reply: Reply) -> None:
        """What follows this sentence is said when the rest of it was; of the sentences behind it there is no audio."""
        reply.broken = broken
        if later := reply.segments[reply.segments.index(broken) + 1 :]:
            self._context.emit(Unsay())
        for segment in later:
            self._settle(segment, "", interrupted=True)

    def _mend(self) -> None:
        """It is known what was heard of the sentence that broke off: the rest of it is for another voice."""
        reply = self.reply
        if reply and reply.broken and reply.broken.settled and not reply.paused:
            behind = reply.segments[reply.segments.index(reply.broken) :]
            self._go_on(reply, [segment for segment in reply.cut if segment in behind])

    def give_up(self) -> None:
        """What is not heard of counts as failed, and must not be heard later either."""
        if self.reply:
            self.reply.failed_segments += len(self.reply.unsettled) + len(self.reply.waiting)
            self._hush(self.reply)
            self.reply.broken, self.reply.waiting = None, []
        self.settle_unknown()

    def settle_unknown(self) -> None:
        """Count what is not known to be heard as unheard."""
        for segment in self._history.unsettled:
            self._settle(segment, "", interrupted=True)
        self._stopped.clear()

    def played(self, event: Played) -> Segment | None:
        """What the streamer says of the audio; the segment that began to be heard just now, if one did."""
        if event.state == "idle":
            for other in self._history.unsettled:
                if other.id in self._stopped:
                    self._settle(other, "", interrupted=True)
            self._stopped.clear()
            if self.reply and self.reply.resume_when_silent:
                self.resume()
            self._mend()
            return None
        segment = self._history.segments.get(event.segment)
        if segment is None or segment.settled:
            return None
        if event.state == "started":
            segment.playing = True
            segment.started_at, segment.since = event.at, self._context.now
            return segment
        if event.state == "finished" and not segment.failed:
            heard = segment.text
        else:
            heard = segment.heard_by(event.heard_ms, event.total_ms, self._context.persona.language)
        self._settle(segment, heard, interrupted=heard != segment.text)
        if event.state == "cut" and event.segment not in self._stopped and self.reply:
            # Nobody here asked for it: the line was lost. The rest waits for its return.
            self.pause()
            self.reply.line_lost = True
        self._mend()
        return None

    def _hush(self, reply: Reply) -> None:
        unsettled = {segment.id for segment in reply.unsettled}
        if not unsettled <= self._stopped:  # else the word is on its way already
            self._stopped |= unsettled
            self._context.emit(StopSpeaking())

    def _settle(self, segment: Segment, heard: str, *, interrupted: bool) -> None:
        segment.heard = heard
        segment.interrupted = interrupted
        segment.playing = False
        self._context.write(transcript.BotHeard(self._context.now, segment.id, heard, interrupted, segment.started_at))
