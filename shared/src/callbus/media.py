"""The events on `call:{id}:in`: what the streamer tells the worker, in one order. One dataclass an event.

Times (`at`) are epoch seconds by the streamer's clock (an operator's: the gateway's).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from callbus.broker import xadd_template
from callbus.errors import BadMessage


@dataclass(frozen=True, slots=True)
class MediaStarted:
    """A media session began, or came back (`resumed`) after its connection dropped or its streamer died."""

    at: float
    session: str
    streamer: str
    sample_rate: int
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Audio:
    """The caller's audio: s16le mono at the session's rate, whole 20 ms frames (normally one).

    `position_ms` is the media time of its first sample: the ms of audio that this session sent before it.
    """

    at: float
    position_ms: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Dtmf:
    """A key that the caller pressed: one of 0-9 * # A-D."""

    at: float
    digit: str


@dataclass(frozen=True, slots=True)
class Playback:
    """What became of the bot's audio, by the playout clock.

    `started`: the first sample of `segment` is being heard. `finished`: its last one was heard. `cut`: it was stopped
    (or thrown away, with `heard_ms` 0) after `heard_ms` of the `total_ms` that had arrived by then. `idle`: nothing is
    playing and nothing waits; `segment` is the last one.

    With `started`: when the segment's first audio came to the streamer, when it was sent to the media server, and how
    far (s) Redis' clock was ahead of the streamer's.
    """

    at: float
    state: Literal["started", "finished", "cut", "idle"]
    segment: str
    heard_ms: int = 0
    total_ms: int = 0
    arrived_at: float | None = None
    sent_at: float | None = None
    bus_ahead: float | None = None


@dataclass(frozen=True, slots=True)
class ActionDone:
    """The streamer put an action (transfer, digits, play, hangup) on the wire, or knew it as done already."""

    at: float
    action_id: str


@dataclass(frozen=True, slots=True)
class ActionRefused:
    """An action can't be put on the wire, now or later: `reason` says what was expected of it. Nothing was done."""

    at: float
    action_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class MediaEnded:
    """The call's media is over for good: the conversation ends."""

    at: float
    reason: str


Wish: TypeAlias = Literal["say", "transfer", "hang_up", "mute", "unmute"]


@dataclass(frozen=True, slots=True)
class Operator:
    """What a person at the console wants done in the call; written by the gateway. The entry's id names the wish, so
    that it is not done twice.

    `argument` is the text to `say`, or the number to `transfer` to (2 to 20 digits). `mute`: the bot neither thinks nor
    speaks, and goes on listening and writing down, until `unmute`.
    """

    at: float
    wish: Wish
    argument: str = ""


MediaEvent: TypeAlias = MediaStarted | Audio | Dtmf | Playback | ActionDone | ActionRefused | MediaEnded | Operator

_KINDS: dict[bytes, type[MediaStarted | Dtmf | Playback | ActionDone | ActionRefused | MediaEnded | Operator]] = {
    b"start": MediaStarted,
    b"dtmf": Dtmf,
    b"playback": Playback,
    b"done": ActionDone,
    b"refused": ActionRefused,
    b"end": MediaEnded,
    b"operator": Operator,
}
_NAMES = {cls: name for name, cls in _KINDS.items()}


_AUDIO_FIELDS = (b"k", b"t", b"p", b"d")


class AudioAppender:
    """Audio entries for one stream, as commands that are packed already: see `Broker.burst`."""

    def __init__(self, stream: str, *, maxlen: int) -> None:
        # A stream that is gone stays gone.
        fixed, names = {_AUDIO_FIELDS[0]: b"a"}, _AUDIO_FIELDS[1:]
        self._template = xadd_template(stream, fixed, names, maxlen=maxlen, create=False)

    def pack(self, at: float, position_ms: int, pcm: bytes) -> bytes:
        """See Audio."""
        t, p = b"%.3f" % at, b"%d" % position_ms
        return self._template % (len(t), t, len(p), p, len(pcm), pcm)


def encode(event: MediaEvent) -> dict[bytes, bytes]:
    """The event as the fields of a stream entry."""
    if isinstance(event, Audio):
        values = (b"a", b"%.3f" % event.at, b"%d" % event.position_ms, event.pcm)
        return dict(zip(_AUDIO_FIELDS, values, strict=True))
    return {b"k": _NAMES[type(event)], b"j": json.dumps(asdict(event), separators=(",", ":")).encode()}


def decode_raw(flat: Sequence[bytes]) -> MediaEvent:
    """Like `decode`, of names and values by turns. Raises BadMessage."""
    if len(flat) == 2 * len(_AUDIO_FIELDS) and flat[1] == b"a" and tuple(flat[::2]) == _AUDIO_FIELDS:
        try:
            return Audio(float(flat[3]), int(flat[5]), flat[7])
        except ValueError as error:
            raise BadMessage(f"not a media event: {error!r} in {flat[1:6:2]!r}") from error
    return decode(dict(zip(flat[::2], flat[1::2], strict=True)))


def decode(fields: Mapping[bytes, bytes]) -> MediaEvent:
    """The fields of a stream entry as an event. Raises BadMessage."""
    try:
        kind = fields[b"k"]
        if kind == b"a":
            return Audio(float(fields[b"t"]), int(fields[b"p"]), fields[b"d"])
        values: dict[str, Any] = json.loads(fields[b"j"])
        return _KINDS[kind](**values)
    except (KeyError, TypeError, ValueError) as error:
        raise BadMessage(f"not a media event: {error!r} in fields {sorted(fields)!r}") from error
