"""What the conversation wants done: one dataclass an action, carried out in order by the call's runner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ai_worker.providers.base import ChatMessage, ToolCall, ToolSpec
from callbus import transcript

LineAction = Literal["transfer", "digits", "play", "hangup"]
OUTCOMES: dict[LineAction, str] = {"transfer": "transferred", "hangup": "bot_ended"}
"""What becomes of the call by the actions that end the bot's part in it."""


PROBE = -1
"""The revision of a Transcribe that only asks which words there are so far, while the caller goes on."""


@dataclass(frozen=True, slots=True)
class Listen:
    """The caller speaks, and will be asked about from `start_ms` (media position) on: an STT that hears the audio as it
    is spoken is to be given it, and what it understands so far is told by Partial events. Ends with StopListening, or
    with the next Listen. A `Transcribe` of the same revision asks for the final words.
    """

    utterance: int
    revision: int
    start_ms: int


@dataclass(frozen=True, slots=True)
class StopListening:
    """Nobody wants to know (more of) what was said in the open utterance."""


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Turn the caller's audio from `start_ms` to `end_ms` (media positions) into words.

    It replaces an earlier revision of the same utterance, unless that one was a `part` of a long one, or a PROBE.
    """

    utterance: int
    revision: int
    start_ms: int
    end_ms: int
    part: bool = False


@dataclass(frozen=True, slots=True)
class Think:
    """Ask the language model; answered by ReplyText…, then ReplyDone or ReplyFailed. A `guess` is for the next turn."""

    reply: int
    messages: tuple[ChatMessage, ...]
    tools: tuple[ToolSpec, ...] = ()
    guess: bool = False


@dataclass(frozen=True, slots=True)
class StopThinking:
    reply: int


@dataclass(frozen=True, slots=True)
class Prepare:
    """Begin to synthesise a sentence that will probably be the next one to Say; nothing of it is sent."""

    text: str


@dataclass(frozen=True, slots=True)
class Unprepare:
    """What was prepared is not needed."""


@dataclass(frozen=True, slots=True)
class Guessed:
    """An answer that was thought of before the turn was over was `used`, or thrown away: for the statistics."""

    used: bool


@dataclass(frozen=True, slots=True)
class UseTool:
    """Run what the language model asked for, once; answered by ToolDone."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class Say:
    """Synthesise a sentence of `turn`'s answer and send it to the caller, after the ones before it."""

    segment: str
    text: str
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Unsay:
    """Forget the sentences of which nothing was synthesised yet. What was, is heard."""


@dataclass(frozen=True, slots=True)
class StopSpeaking:
    """Silence at once: stop synthesising, and `break` on the wire. What was heard comes back as Played events."""


@dataclass(frozen=True, slots=True)
class Act:
    """Do something on the line; answered by ActionDone. The same `action_id` is carried out once at most."""

    action_id: str
    kind: LineAction
    argument: str


@dataclass(frozen=True, slots=True)
class Write:
    """Append to the call's transcript."""

    entry: transcript.Entry


@dataclass(frozen=True, slots=True)
class Finish:
    """The conversation is over."""

    outcome: str
    reason: str


Action: TypeAlias = (
    Listen
    | StopListening
    | Transcribe
    | Think
    | StopThinking
    | Prepare
    | Unprepare
    | Guessed
    | UseTool
    | Say
    | Unsay
    | StopSpeaking
    | Act
    | Write
    | Finish
)
