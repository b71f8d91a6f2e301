"""What the conversation hears of: one dataclass an event. Media positions are ms of the caller's audio since the
session began."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ai_worker.conversation.persona import Scripted
from ai_worker.providers.base import SaidUntil, ToolCall
from callbus.media import Wish


@dataclass(frozen=True, slots=True)
class Begin:
    """The caller is on the line, since `elapsed` s (not 0 after a take-over)."""

    elapsed: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak at media position `start_ms`; decided after `speech_ms` of speech."""

    start_ms: int
    speech_ms: int


@dataclass(frozen=True, slots=True)
class SpeechSustained:
    """The caller has spoken for as long as it takes to interrupt."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller's last speech was at media position `end_ms`, `silence_ms` ago; `ended_at` is its time by the
    streamer's clock (epoch s)."""

    end_ms: int
    silence_ms: int
    ended_at: float


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The caller has not made a sound for a moment, since media position `end_ms`; SpeechStopped follows, or speech."""

    end_ms: int


@dataclass(frozen=True, slots=True)
class SpeechFaded:
    """There is still speech, but none as loud as the caller's was, since media position `end_ms`: somebody else's."""

    end_ms: int


@dataclass(frozen=True, slots=True)
class SpeechBack:
    """There is speech as loud as the caller's again."""


@dataclass(frozen=True, slots=True)
class Partial:
    """What the STT understands so far of the audio that `Listen` (of this utterance and revision) named; it may change,
    and all of it may not be there yet."""

    utterance: int
    revision: int
    text: str


@dataclass(frozen=True, slots=True)
class Transcribed:
    """The answer to `Transcribe`: the words, "" when there were none."""

    utterance: int
    revision: int
    text: str


@dataclass(frozen=True, slots=True)
class TurnJudged:
    """How probable it is (0..1) by the sound of it that the caller has finished; about the audio of a `Transcribe`."""

    utterance: int
    revision: int
    finished: float


@dataclass(frozen=True, slots=True)
class TranscribeFailed:
    utterance: int
    revision: int
    reason: str


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The next piece of the language model's answer."""

    reply: int
    text: str


@dataclass(frozen=True, slots=True)
class ReplyDone:
    reply: int


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    reply: int
    reason: str


@dataclass(frozen=True, slots=True)
class ToolAsked:
    """The language model calls a tool in its answer."""

    reply: int
    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolDone:
    """The answer to `UseTool`: what the model is told, and what is to be done on the line, if that is what it asked.

    `failed`: the tool did not do what it was called for, or nobody knows whether it did.
    """

    tool_call_id: str
    text: str
    request: Scripted | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class FirstSound:
    """The first audio of a segment came out of the TTS and is on its way to the streamer."""

    segment: str


@dataclass(frozen=True, slots=True)
class WordTimed:
    """The TTS knows when a word of a segment will have been said; `until` counts the text as it is said."""

    segment: str
    until: SaidUntil


@dataclass(frozen=True, slots=True)
class Synthesised:
    """All audio of a segment, `ms` long, is on its way to the streamer."""

    segment: str
    ms: int


@dataclass(frozen=True, slots=True)
class SynthesisFailed:
    """No (more) audio will come for a segment."""

    segment: str
    reason: str


@dataclass(frozen=True, slots=True)
class Played:
    """The playout clock's word: see callbus.media.Playback. `at` is the streamer's clock (epoch s)."""

    state: Literal["started", "finished", "cut", "idle"]
    segment: str
    heard_ms: int
    total_ms: int
    at: float


@dataclass(frozen=True, slots=True)
class Pressed:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class Beep:
    """A pure tone on the caller's side has ended."""


@dataclass(frozen=True, slots=True)
class ActionDone:
    """The streamer carried an action out."""

    action_id: str


@dataclass(frozen=True, slots=True)
class ActionRefused:
    """The streamer can't carry an action out: a number that can't be dialled, a URL that can't be played."""

    action_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class OperatorAsked:
    """A person at the console wants something done: see callbus.media.Operator. `entry_id` names the wish."""

    entry_id: str
    wish: Wish
    argument: str = ""


@dataclass(frozen=True, slots=True)
class AudioLost:
    """So much (ms) of what the caller may have said never arrived: Redis was away for too long."""

    ms: int


@dataclass(frozen=True, slots=True)
class MediaReturned:
    """The media connection came back: what was playing when it was lost may never be reported on."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call's media is over."""

    reason: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing but the time."""


Event: TypeAlias = (
    Begin
    | SpeechStarted
    | SpeechSustained
    | SpeechPaused
    | SpeechFaded
    | SpeechBack
    | SpeechStopped
    | Partial
    | Transcribed
    | TranscribeFailed
    | TurnJudged
    | ReplyText
    | ReplyDone
    | ReplyFailed
    | ToolAsked
    | ToolDone
    | FirstSound
    | WordTimed
    | Synthesised
    | SynthesisFailed
    | Played
    | Pressed
    | Beep
    | ActionDone
    | ActionRefused
    | OperatorAsked
    | AudioLost
    | MediaReturned
    | CallEnded
    | Tick
)
