"""What waits to be heard, segments of speech and files, and how much of it the next playback takes. Sans-I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from callbus.pcm import bytes_in

FIRST_PIECE_MS = 200
"""The least that is worth a playback of its own, unless a segment ends with it."""
LONGEST_PIECE_MS = 5000


@dataclass(frozen=True, slots=True)
class File:
    """A file to let the media server play. `action_id` is the caller's name for it."""

    url: str
    action_id: str


@dataclass(slots=True, eq=False)
class Segment:
    """Speech that belongs together: a sentence, most often. Lengths in bytes (s16le), times in seconds of any clock."""

    name: str
    arrived_at: float
    sent_at: float | None = None
    pending: bytearray = field(default_factory=bytearray)
    """Has come and is not sent yet."""
    arrived: int = 0
    in_flight: int = 0
    """Is sent and not heard yet."""
    heard: int = 0
    closed: bool = False
    """No more will come."""
    dropped: bool = False
    """No more is taken."""
    started: bool = False
    """Its first sample is being heard, or was."""


Spans: TypeAlias = list[tuple[Segment, int]]
"""Segments, and how many bytes of each."""


class PieceCutter:
    """Makes few and long playbacks of what waits: each has as much speech as there is, up to the next file."""

    def __init__(self, sample_rate: int) -> None:
        self._first_piece = bytes_in(FIRST_PIECE_MS, sample_rate)
        self._longest_piece = bytes_in(LONGEST_PIECE_MS, sample_rate)

    def next(self, items: Iterable[Segment | File]) -> Spans | File:
        """The parts of segments that make up the next piece, or the file whose turn it is; no parts: it must wait."""
        spans: Spans = []
        room = self._longest_piece
        up_to_an_end = 0
        for item in items:
            if isinstance(item, File):
                if not spans:
                    return item
                break
            taken = min(room, len(item.pending))
            if taken:
                spans.append((item, taken))
                room -= taken
                if item.closed and taken == len(item.pending):
                    up_to_an_end = len(spans)
            if not room or not (item.closed or item.dropped):
                break
        if self._longest_piece - room < self._first_piece:
            # Too short to break off in the middle of a sentence: a seam is less audible at the end of one.
            del spans[up_to_an_end:]
        return spans
