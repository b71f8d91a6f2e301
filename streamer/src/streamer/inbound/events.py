"""The events that the inbound decoder reports, and what it counts."""

from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class Audio:
    """20 ms of the caller's audio: s16le mono at the session's rate (320 bytes at 8000 Hz, 640 at 16000 Hz)."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the media server tells about the call. Numbers are digits only; `raw` is the whole JSON object."""

    call_id: str | None
    from_number: str | None
    to_number: str | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallStart:
    """The client speaks the specification's JSON dialect: from now on it wants acknowledgements."""

    call_id: str | None
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class CallEnd:
    """The client says, in the JSON dialect, that the call is over."""

    call_id: str | None


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key that the caller pressed: one of 0-9 * # A-D."""

    digit: str


@dataclass(frozen=True, slots=True)
class UnknownText:
    """A text message that says nothing known. Never an error."""

    text: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that could not be read, and why."""

    reason: str


Event: TypeAlias = Audio | Metadata | CallStart | CallEnd | Dtmf | UnknownText | Unreadable


@dataclass(slots=True)
class InboundCounters:
    """What was lost on the way in, since the session began."""

    unreadable: int = 0
    """Messages that could not be read."""
    rtp_concealed: int = 0
    """Lost RTP packets that were replaced by silence."""
    rtp_dropped: int = 0
    """RTP packets that were not used: duplicates, too late, or of another source."""
    rtp_resyncs: int = 0
    """Times that RTP started anew after a jump in its sequence or a change of its source."""
