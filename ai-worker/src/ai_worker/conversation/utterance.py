"""One stretch of the caller's speech, and what is known of its words."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Utterance:
    """What the caller says until the turn is over, pauses included. Positions are ms of media.

    `from_ms` is where the part that is still to be transcribed begins; `parts` are the words of the parts before
    it, by revision, `words` those of the latest revision: None as long as they are awaited. `stopped_at` is the end
    of the last speech by the worker's clock, `ended_at` the same by the streamer's. `partial` is what the STT
    understands so far of what comes after the parts, `probed` what it understood when it was last asked in the
    middle of it, up to `probed_ms`. `pauses` (s) are those in a number, a spelling or an address that is being
    dictated. `over_bot` says that it began while the bot was heard, `echoes` that the bot had just said these words
    itself; a `doubtful` one is the rest of a sound that goes on after the caller has finished, as long as there are
    no words in it. At `faded_ms` the caller's voice ended, while others go on behind it.
    """

    id: int
    start_ms: int
    from_ms: int
    started_at: float
    revision: int = 0
    end_ms: int = 0
    stopped_at: float = 0.0
    ended_at: float = 0.0
    words: str | None = None
    parts: dict[int, str | None] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)
    backchannel: bool = False
    echoes: bool = False
    sounds_finished: bool = False
    partial: str = ""
    probed: str | None = None
    probed_ms: int = 0
    over_bot: bool = False
    doubtful: bool = False
    faded_ms: int | None = None

    def at(self, position_ms: int) -> float:
        """When that position was reached, by the worker's clock."""
        return self.started_at + (position_ms - self.start_ms) / 1000

    @property
    def length_s(self) -> float:
        return (self.end_ms - self.start_ms) / 1000

    @property
    def awaits_parts(self) -> bool:
        return None in self.parts.values()

    @property
    def understood(self) -> bool:
        """Whether all of it that was asked for is known."""
        return self.words is not None and not self.awaits_parts

    @property
    def text(self) -> str:
        """All its words; "" until it is understood."""
        return " ".join(filter(None, [*self.parts.values(), self.words])) if self.understood else ""

    @property
    def earlier_text(self) -> str:
        """The words of its parts."""
        return " ".join(filter(None, self.parts.values()))

    @property
    def text_so_far(self) -> str:
        """Its words as far as they are known, be they final or not."""
        return " ".join(filter(None, [*self.parts.values(), self.partial if self.words is None else self.words]))
