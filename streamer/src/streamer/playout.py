"""The playout clock: paces the bot's speech in few, growing pieces, and knows what the caller has heard. Sans-I/O.

Every `streamAudio` message is one playback at the media server, played in the order of arrival, and nothing tells when
one ends. So a piece's place in time is computed: it is heard a little (`lag`) after it is sent or, when another is
playing, from that one's end.

A file (`play`) has an unknown length: it is not counted as speech, it neither delays `idle` nor is reported. It keeps
its place among the segments; speech behind it is sent as soon as the file's turn came, waits at the media server until
the file is over, and is reported as if the file had no length. Who wants to speak instead of a file breaks first.

All times are seconds of one clock, given by the caller; `Playback.at` is on that clock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from callbus.media import Playback
from callbus.pcm import SAMPLE_BYTES
from streamer.segments import File, PieceCutter, Segment, Spans

REFILL_S = 0.4
"""The next piece goes out when the one that is playing has this much left."""
ABANDONED_S = 3.0
"""A segment that nobody closes gives way to the next one after this long a silence."""
BREAK_GRACE_S = 0.3
"""The media server lags behind the clock: a break shortly after the end still goes on the wire."""
REFUSED_MAX = 256


@dataclass(frozen=True, slots=True)
class Piece:
    """One playback to send: s16le mono, heard from `start` on."""

    start: float
    pcm: bytes


Output: TypeAlias = Piece | File


@dataclass(slots=True, eq=False)
class _Sent:
    """A piece at the media server; `spans` are the segments' parts not wholly heard yet, the first from `offset` on."""

    start: float
    end: float
    spans: deque[tuple[Segment, int]]
    offset: int = 0


class PlayoutClock:
    """One media session's outgoing speech. After every call of another method, `poll`.

    `lag` is the time (s) from sending a piece to its first sample being heard.
    """

    def __init__(self, sample_rate: int, *, lag: float = 0.0) -> None:
        self._lag = lag
        self._bytes_per_s = sample_rate * SAMPLE_BYTES
        self._cutter = PieceCutter(sample_rate)
        self._items: deque[Segment | File] = deque()
        self._sent: deque[_Sent] = deque()
        self._file_from: float | None = None
        self._quiet_since: float | None = None
        self._idle = True
        self._last_segment = ""
        self._refused: dict[str, None] = {}
        self._outputs: list[Output] = []
        self._events: list[Playback] = []
        self.underruns = 0
        """Times that speech stopped in the middle because its synthesis was late."""
        self.late_chunks = 0
        """Chunks that were thrown away: their segment had been cut before they came."""

    def speak(self, now: float, segment: str, pcm: bytes, last: bool) -> bool:
        """Add speech to a segment. Empty `pcm` with `last` closes it; one without any audio is just `finished`.

        False when the segment was cut or given up before: its audio is thrown away.
        """
        self._advance(now)
        if segment in self._refused:
            self.late_chunks += 1
            return False
        open_ones = (item for item in self._segments() if not (item.closed or item.dropped))
        item = next((item for item in open_ones if item.name == segment), None)
        if item is None:
            item = Segment(segment, now)
            self._items.append(item)
            self._idle = False
        pcm = pcm[: len(pcm) - len(pcm) % SAMPLE_BYTES]
        item.pending += pcm
        item.arrived += len(pcm)
        item.closed = last
        self._settle(now if self._quiet_since is None or not item.started else self._quiet_since)
        return True

    def play(self, now: float, file: File) -> None:
        """Let a file follow what has been said so far."""
        self._advance(now)
        self._items.append(file)

    def break_(self, now: float) -> bool:
        """Silence at once. True when `break` must go on the wire. Always answered by `idle`."""
        self._advance(now)
        recently = self._quiet_since is not None and now - self._quiet_since < BREAK_GRACE_S
        on_wire = bool(self._sent) or self._file_from is not None or recently
        if self._sent and self._sent[0].spans:
            piece = self._sent[0]
            segment, length = piece.spans[0]
            heard = int((now - piece.start) * self._bytes_per_s) - piece.offset
            segment.heard += min(length, max(0, heard - heard % SAMPLE_BYTES))
        for segment in self._segments():
            if not segment.dropped:
                self._refuse(segment.name)
            self._report(now, "cut", segment)
        if self._sent:
            self._quiet_since = now
        self._items.clear()
        self._sent.clear()
        self._outputs.clear()
        self._file_from = None
        self._go_idle(now)
        return on_wire

    def take_over(self, now: float) -> None:
        """Drop what has not been sent; what has, plays on. Always answered by one `idle`."""
        self._advance(now)
        for segment in self._segments():
            if segment.dropped or (segment.closed and not segment.pending):
                continue
            segment.dropped = True
            segment.pending.clear()
            self._refuse(segment.name)
        self._items = deque(self._segments())
        if self._idle:
            self._go_idle(now)
        else:
            self._settle(now)

    def forget(self, now: float) -> None:
        """`take_over`, and whoever speaks next may use the names of segments that were cut or given up."""
        self.take_over(now)
        self._refused.clear()

    def poll(self, now: float) -> tuple[list[Output], list[Playback]]:
        """What to send now, in order, and what has become of the speech up to now."""
        self._advance(now)
        self._refill(now)
        outputs, self._outputs = self._outputs, []
        events, self._events = self._events, []
        return outputs, events

    def next_wake(self) -> float | None:
        """When to poll next, if nothing else happens; None when there is nothing to wait for."""
        wakes = []
        if self._sent:
            piece = self._sent[0]
            segment, length = piece.spans[0]
            heard_until = piece.offset + (length if segment.started else 0)
            wakes.append(piece.start + heard_until / self._bytes_per_s)
            if len(self._sent) == 1 and self._file_from is None and self._cutter.next(self._items):
                wakes.append(piece.end - REFILL_S)
        elif self._quiet_since is not None and self._abandoned() is not None:
            wakes.append(self._quiet_since + ABANDONED_S)
        return min(wakes, default=None)

    def _advance(self, now: float) -> None:
        while self._sent:
            piece = self._sent[0]
            while piece.spans:
                segment, length = piece.spans[0]
                begins = piece.start + piece.offset / self._bytes_per_s
                if begins > now:
                    return
                if not segment.started:
                    segment.started = True
                    self._report(begins, "started", segment)
                ends = piece.start + (piece.offset + length) / self._bytes_per_s
                if ends > now:
                    return
                piece.spans.popleft()
                piece.offset += length
                segment.heard += length
                segment.in_flight -= length
                if not piece.spans:
                    self._sent.popleft()
                    if not self._sent:
                        self._quiet_since = ends
                self._settle(ends)

    def _settle(self, at: float) -> None:
        """Report the segments that are over, in order, and silence when there are no more."""
        while self._items:
            segment = self._items[0]
            if isinstance(segment, File):
                # Only what stands before it could have kept it from being sent.
                break
            if segment.in_flight or segment.pending or not (segment.closed or segment.dropped):
                break
            self._items.popleft()
            self._report(at, "cut" if segment.dropped else "finished", segment)
        if not self._idle and not self._sent and next(self._segments(), None) is None:
            self._go_idle(at)

    def _refill(self, now: float) -> None:
        while len(self._sent) < 2:
            if self._sent and now < self._sent[0].end - REFILL_S:
                return
            if self._file_from is not None and self._file_from > now:
                return
            if not self._sent:
                self._give_up_abandoned(now)
            following = self._cutter.next(self._items)
            if isinstance(following, File):
                self._items.remove(following)
                self._file_from = self._sent[0].end if self._sent else now
                self._outputs.append(following)
                self._settle(now)
            elif following:
                self._send(now, following)
            else:
                return

    def _send(self, now: float, spans: Spans) -> None:
        if not self._sent and spans[0][0].started:
            self.underruns += 1
        start = max(now + self._lag, self._sent[-1].end if self._sent else 0.0)
        pcm = bytearray()
        for segment, length in spans:
            pcm += segment.pending[:length]
            del segment.pending[:length]
            segment.in_flight += length
            segment.sent_at = segment.sent_at or now
        self._sent.append(_Sent(start, start + len(pcm) / self._bytes_per_s, deque(spans)))
        self._file_from = None
        self._outputs.append(Piece(start, bytes(pcm)))
        self._advance(now)

    def _abandoned(self) -> Segment | None:
        """A segment that nobody closed, while others wait behind it."""
        segment = self._items[0] if len(self._items) > 1 else None
        if isinstance(segment, Segment) and segment.started and not segment.closed and not segment.pending:
            return segment
        return None

    def _give_up_abandoned(self, now: float) -> None:
        segment = self._abandoned()
        if segment is not None and self._quiet_since is not None and now - self._quiet_since >= ABANDONED_S:
            segment.dropped = True
            self._refuse(segment.name)
            self._settle(self._quiet_since)

    def _segments(self) -> Iterator[Segment]:
        return (item for item in self._items if isinstance(item, Segment))

    def _refuse(self, name: str) -> None:
        self._refused[name] = None
        if len(self._refused) > REFUSED_MAX:
            del self._refused[next(iter(self._refused))]

    def _report(self, at: float, state: Literal["started", "finished", "cut"], segment: Segment) -> None:
        self._last_segment = segment.name
        heard, total = (count * 1000 // self._bytes_per_s for count in (segment.heard, segment.arrived))
        arrived, sent = (segment.arrived_at, segment.sent_at) if state == "started" else (None, None)
        self._events.append(Playback(at, state, segment.name, heard, total, arrived, sent))

    def _go_idle(self, at: float) -> None:
        self._idle = True
        self._events.append(Playback(at, "idle", self._last_segment))
