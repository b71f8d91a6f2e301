"""The caller's side: which stretch of audio is the utterance, what it says, when it is over."""

from __future__ import annotations

from dataclasses import dataclass, field

from ai_worker.conversation.actions import Transcribe
from ai_worker.conversation.context import Context
from ai_worker.conversation.endpointing import silence_needed
from ai_worker.conversation.events import SpeechStarted, SpeechStopped, Transcribed


@dataclass(slots=True)
class Utterance:
    """What the caller says until the turn is over, pauses included. Positions are ms of media.

    `from_ms` is where the part that is still to be transcribed begins. `stopped_at` is the end of the last speech by
    the worker's clock, `ended_at` the same by the streamer's.
    """

    id: int
    start_ms: int
    from_ms: int
    started_at: float
    revision: int = 0
    end_ms: int = 0
    stopped_at: float = 0.0
    ended_at: float = 0.0
    text: str = ""
    parts: list[str] = field(default_factory=list)
    part_revisions: set[int] = field(default_factory=set)
    wordless: bool = False

    @property
    def length_s(self) -> float:
        return (self.end_ms - self.start_ms) / 1000


class Ear:
    """Follows the caller's speech. At most one utterance is open."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._count = 0
        self.speaking = False
        self.utterance: Utterance | None = None

    @property
    def busy(self) -> bool:
        """Whether somebody says something, or what was said is not understood yet."""
        return self.utterance is not None and not self.noisy

    @property
    def noisy(self) -> bool:
        """Whether the sound goes on and on without a word in it."""
        return self.utterance is not None and self.speaking and self.utterance.wordless

    def started(self, event: SpeechStarted) -> None:
        """Speech after a pause within the turn belongs to the same utterance: what was understood of it is outdated."""
        self.speaking = True
        if self.utterance is None:
            self._count += 1
            now = self._context.now - event.speech_ms / 1000
            self.utterance = Utterance(self._count, event.start_ms, event.start_ms, now)
        else:
            self.utterance.revision += 1
            self.utterance.text = ""
        self._context.after("monologue", self._context.options.longest_part)

    def stopped(self, event: SpeechStopped) -> bool:
        """The first pause asks for the words at once: they tell whether the turn is over. False when nobody listens."""
        self.speaking = False
        self._context.timers.cancel("monologue")
        utterance = self.utterance
        if utterance is None:
            return False
        utterance.end_ms = event.end_ms
        utterance.stopped_at = self._context.now - event.silence_ms / 1000
        utterance.ended_at = event.ended_at
        self._request(utterance, event.end_ms + round(self._context.options.post_roll * 1000))
        self._context.after("transcribing", self._context.options.transcribing_limit)
        return True

    def divide(self) -> None:
        """Speech without a pause is transcribed in parts: an STT takes only so much at once."""
        utterance = self.utterance
        if utterance is None or not self.speaking:
            return
        until = utterance.start_ms + round((self._context.now - utterance.started_at) * 1000)
        utterance.end_ms = until
        utterance.part_revisions.add(utterance.revision)
        self._request(utterance, until, part=True)
        utterance.revision += 1
        utterance.from_ms = until
        self._context.after("monologue", self._context.options.longest_part)

    def understood_part(self, event: Transcribed) -> bool:
        """The words of a part, kept for the end of the turn; False for anything else."""
        utterance = self.utterance
        if utterance is None or event.utterance != utterance.id or event.revision not in utterance.part_revisions:
            return False
        utterance.part_revisions.discard(event.revision)
        text = event.text.strip()
        utterance.wordless = not text and not utterance.parts
        if text:
            utterance.parts.append(text)
        return True

    def understood(self, event: Transcribed) -> Utterance | None:
        """The open utterance with its words, or None for an answer that is no longer wanted."""
        utterance = self.current(event.utterance, event.revision)
        if utterance:
            utterance.text = " ".join([*utterance.parts, event.text.strip()]).strip()
        return utterance

    def current(self, utterance: int, revision: int) -> Utterance | None:
        """The open utterance, if an answer about this revision of it is still wanted."""
        open_ = self.utterance
        if self.speaking or open_ is None or (open_.id, open_.revision) != (utterance, revision):
            return None
        return open_

    def turn_ends_at(self, utterance: Utterance) -> float:
        """When the silence after what was understood has lasted long enough."""
        return utterance.stopped_at + silence_needed(utterance.text, self._context.options.endpointing)

    def close(self) -> None:
        self.utterance = None
        self._context.timers.cancel("monologue", "turn", "transcribing")

    def close_unless_speaking(self) -> None:
        if not self.speaking:
            self.close()

    def _request(self, utterance: Utterance, end_ms: int, *, part: bool = False) -> None:
        start_ms = max(0, utterance.from_ms - round(self._context.options.pre_roll * 1000))
        self._context.emit(Transcribe(utterance.id, utterance.revision, start_ms, end_ms, part))
