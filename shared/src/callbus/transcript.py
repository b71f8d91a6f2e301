"""The entries on `call:{id}:transcript`: turns as they happened. A crash's successor rebuilds the conversation from it.

Times (`at`) are epoch seconds. `in_id` is an entry id on `call:{id}:in`: where listening goes on after a crash.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

from callbus.errors import BadMessage


@dataclass(frozen=True, slots=True)
class Claimed:
    """A worker holds the call from here on."""

    at: float
    worker: str
    epoch: int
    agent: str


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """One turn of the caller, understood as `text`; `started_at` and `at` enclose the speech. `turn` counts from 1."""

    at: float
    started_at: float
    turn: int
    text: str
    in_id: str


@dataclass(frozen=True, slots=True)
class CallerPressed:
    """Keys that the caller pressed."""

    at: float
    digits: str


@dataclass(frozen=True, slots=True)
class BotSays:
    """A sentence that the bot is going to say. `segment` names its audio; nothing says yet that it was heard.

    `reply_to` is the caller's turn that it answers (0: the greeting or a prompt of the bot's own). A `protected` one
    can't be interrupted. `by_operator`: an operator had it said.
    """

    at: float
    segment: str
    text: str
    reply_to: int = 0
    protected: bool = False
    by_operator: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The text of the bot's reply to the caller's turn `reply_to` is whole: no more sentences follow. Without it, the
    worker died before."""

    at: float
    reply_to: int


@dataclass(frozen=True, slots=True)
class BotHeard:
    """What was heard of a sentence: all of it, or, when it was cut, its first words (perhaps none)."""

    at: float
    segment: str
    heard_text: str
    interrupted: bool
    started_at: float | None = None


@dataclass(frozen=True, slots=True)
class TurnTimed:
    """Where the time of one answer went, in ms after the end of the caller's speech (`stages`).

    `voice_to_voice_ms` is the caller's last speech to the bot's first audio, both by the streamer's clock. `hops` are
    the ways through Redis in ms, the two machines' clocks corrected: `in`, the audio that showed the end of the speech,
    from its arrival at the streamer to the worker's verdict on it; `out`, the answer's first audio, from the worker's
    publishing it to its arrival at the streamer. With them, the stages that the worker measures count from the same
    moment as the streamer's; without them (clocks not known yet), they don't hold the hop in.
    """

    at: float
    turn: int
    stages: dict[str, float] = field(default_factory=dict)
    voice_to_voice_ms: float | None = None
    hops: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Acted:
    """Something done on the line: `planned` until what the bot says first was heard, `asked` before it is sent to the
    streamer, `done` when the streamer did it, `refused` when it can't be done, `dropped` when it is not done after all:
    the caller interrupted the announcement. Several that are planned are done in that order. `tool_call_id` names the
    tool call that wanted it, if one did, and `say` is what it wants said right before."""

    at: float
    action_id: str
    kind: Literal["transfer", "digits", "play", "hangup"]
    argument: str
    state: Literal["planned", "asked", "done", "refused", "dropped"]
    tool_call_id: str = ""
    say: str = ""


ToolState = Literal["asked", "done", "failed"]


@dataclass(frozen=True, slots=True)
class ToolUsed:
    """A tool that the language model called: `asked` before it runs, `done` with its `result`, `failed` with what went
    wrong; also after `done`, when what it was said to do turned out to be impossible, or was interrupted.

    `arguments` is JSON as the model wrote it. One that was asked for and is not done may have had its
    effect, or not.
    """

    at: float
    turn: int
    tool_call_id: str
    name: str
    arguments: str
    state: ToolState
    result: str = ""


@dataclass(frozen=True, slots=True)
class MachineHeard:
    """An answering machine is on the line; `sign` is what gave it away."""

    at: float
    sign: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something a reader of the transcript should know: a provider's failure, a false barge-in, a silence prompt."""

    at: float
    note: str


@dataclass(frozen=True, slots=True)
class Used:
    """What a request to a provider used: it may be billed, whether its answer was wanted or not.

    `told` says whether the provider said so; else it is what we measured of what we sent. `provider` is its word in the
    settings. `turn` is the caller's last one then. Units don't overlap: `input_tokens` (neither cached nor audio),
    `cached_input_tokens`, `audio_input_tokens`, `output_tokens`, `characters`, `audio_s` (seconds), and `requests` of
    which nobody knows what they used. One may follow Finished.
    """

    at: float
    turn: int
    seam: Literal["stt", "llm", "tts", "summary"]
    provider: str
    model: str
    unit: str
    amount: float
    told: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """The conversation is over. `outcome` is one of completed, transferred, caller_left, bot_ended, failed."""

    at: float
    outcome: str
    reason: str


Entry: TypeAlias = (
    CallerSaid
    | CallerPressed
    | BotSays
    | Answered
    | BotHeard
    | TurnTimed
    | Acted
    | ToolUsed
    | MachineHeard
    | Noted
    | Used
    | Claimed
    | Finished
)

_KINDS: dict[bytes, type[Entry]] = {
    b"claimed": Claimed,
    b"caller": CallerSaid,
    b"pressed": CallerPressed,
    b"bot": BotSays,
    b"answered": Answered,
    b"heard": BotHeard,
    b"timing": TurnTimed,
    b"action": Acted,
    b"tool": ToolUsed,
    b"machine": MachineHeard,
    b"note": Noted,
    b"used": Used,
    b"finished": Finished,
}
_NAMES: dict[type[Entry], bytes] = {cls: name for name, cls in _KINDS.items()}


def encode(entry: Entry) -> dict[bytes, bytes]:
    """The entry as the fields of a stream entry."""
    return {b"k": _NAMES[type(entry)], b"j": json.dumps(asdict(entry), ensure_ascii=False).encode()}


def decode(fields: Mapping[bytes, bytes]) -> Entry:
    """The fields of a stream entry as a transcript entry. Raises BadMessage."""
    try:
        values: dict[str, Any] = json.loads(fields[b"j"])
        return _KINDS[fields[b"k"]](**values)
    except (KeyError, TypeError, ValueError) as error:
        raise BadMessage(f"not a transcript entry: {error!r} in fields {sorted(fields)!r}") from error
