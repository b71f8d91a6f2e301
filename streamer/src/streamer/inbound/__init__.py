"""What the media server sends, decoded: WebSocket messages in, typed events out. Sans-I/O."""

from streamer.inbound.decoder import InboundDecoder
from streamer.inbound.events import (
    Audio,
    CallEnd,
    CallStart,
    Dtmf,
    Event,
    InboundCounters,
    Metadata,
    UnknownText,
    Unreadable,
)

__all__ = [
    "Audio",
    "CallEnd",
    "CallStart",
    "Dtmf",
    "Event",
    "InboundCounters",
    "InboundDecoder",
    "Metadata",
    "UnknownText",
    "Unreadable",
]
