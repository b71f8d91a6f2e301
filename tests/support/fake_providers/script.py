"""What a fake provider is told to do wrong, and what it remembers of each request."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer with an error status in the provider's own error form."""

    status: int
    message: str = "The fake was told to refuse this request."
    code: str | None = None
    retry_after: str | None = None
    """The retry-after header as it goes over the wire: seconds or an HTTP date."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Close the connection before the first byte of an answer."""


@dataclass(frozen=True, slots=True)
class CutAfter:
    """Close the connection after `pieces` pieces of the answer's body, without its proper end."""

    pieces: int


@dataclass(frozen=True, slots=True)
class EndAfter:
    """End the body properly after `pieces` pieces, as a proxy does that lost its own upstream."""

    pieces: int


@dataclass(frozen=True, slots=True)
class HoldAfter:
    """Say nothing more after `pieces` pieces of the body until `until` is set; a stall for ever without one.

    With `comments_every` (seconds) a comment of the event stream goes out meanwhile, which is no progress.
    """

    pieces: int
    until: asyncio.Event | None = None
    comments_every: float | None = None


@dataclass(frozen=True, slots=True)
class SlowDrip:
    """Send the body's pieces `seconds` apart, whatever the server's own pace is."""

    seconds: float


@dataclass(frozen=True, slots=True)
class ErrorAfter:
    """Report an error inside a stream that began well (server-sent events only), then end the stream."""

    pieces: int
    message: str = "The server had an error while processing your request."
    code: str | int | None = "server_error"


Fault = Refuse | Drop | CutAfter | EndAfter | HoldAfter | SlowDrip | ErrorAfter


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of an answer's body and when it is due, in seconds after the request was read."""

    at: float
    data: bytes


@dataclass(slots=True)
class RequestRecord:
    """One request as it came over the wire, and how its answer went."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    peer: tuple[str, int]
    """The client's address: equal for requests on the same connection."""
    form: dict[str, bytes] = field(default_factory=dict)
    """Parts of a multipart body by name."""
    received_at: float = field(default_factory=time.monotonic)
    """When the request was there whole; s of the monotonic clock."""
    sent_at: list[float] = field(default_factory=list)
    """When each piece of the answer went out, by the same clock."""
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the client left before the answer was complete."""
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the answer went out whole."""

    @property
    def pieces_sent(self) -> int:
        return len(self.sent_at)

    def sends(self) -> None:
        """A piece of the answer goes out now."""
        self.sent_at.append(time.monotonic())

    @property
    def json(self) -> Any:
        return json.loads(self.body)
