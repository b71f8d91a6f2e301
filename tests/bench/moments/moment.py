"""What a scripted moment is: what the caller does, when, and what is right for the bot to do then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "complete",
    "pause",
    "dictated",
    "noise while the caller talks",
    "sound into silence",
    "interruption",
    "backchannel",
    "sound while the bot talks",
    "noise while the bot talks",
    "echo",
    "keys while the bot talks",
]

Right = Literal["answer", "stay quiet", "yield", "go on", "go on until the keys are in"]
"""What the bot must do.

- `answer`: nothing inside the caller's turn, and its answer within 1 s of the turn's real end.
- `stay quiet`: nothing, for nobody said anything.
- `yield`: stop, and answer within 1 s of the interruption's real end.
- `go on`: say all that it was saying; a pause is forgiven, a loss is not.
- `go on until the keys are in`: not be stopped by the sound of keys, and answer what they mean.
"""

Voice = Literal["low", "deep", "bright"]
Tail = Literal["sentence", "open", "dictation"]
"""How a piece of speech ends: its sentence is complete; it goes on (`open`); more is being dictated."""

Background = Literal["pink", "hum", "babble"]


@dataclass(frozen=True, slots=True)
class Words:
    """Something the caller says in one breath. `written` is how a speech-to-text writes it, when that differs.

    `glued`: written without a space before it, as the second half of an e-mail address is.
    """

    spoken: str
    written: str = ""
    tail: Tail = "sentence"
    glued: bool = False
    recording: str = ""
    """One of tests/data/speech in place of a synthetic voice."""

    @property
    def text(self) -> str:
        return self.written or self.spoken


@dataclass(frozen=True, slots=True)
class Pause:
    """The caller says nothing for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Sound:
    """Something audible that is no word: a name that `sounds.sound` knows ("cough", "door", "keys 5")."""

    name: str


Part = Words | Pause | Sound


@dataclass(frozen=True, slots=True)
class Moment:
    """One call. `over` says what the bot is saying when the caller's part begins, `after` how long (s) already.

    `over` "nothing": the greeting has been heard and it is the caller's turn.
    """

    name: str
    kind: Kind
    right: Right
    parts: tuple[Part, ...]
    over: Literal["nothing", "greeting", "answer"] = "nothing"
    after: float = 0.6
    voice: Voice = "low"
    background: Background | None = None
    """Noise under the whole call, 10 dB below the caller's speech."""
    echo_ms: int | None = None
    """The bot comes back to it this late, at -25 dB."""

    @property
    def words(self) -> tuple[Words, ...]:
        return tuple(part for part in self.parts if isinstance(part, Words))
