"""What the caller hears: the media server's playback queue, Sans-I/O, time given in samples of the call.

Every `streamAudio` and every `play` is one playback, played one after another as FreeSWITCH does, with a seam of
silence between two of them (RINGOVER.md 3.3: 100-120 ms were measured on a stock server).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from ringover_sim.errors import SimulatorError

Source = Literal["streamAudio", "play"]


@dataclass(slots=True, eq=False)
class Playback:
    """One playback; times are samples since the call was answered."""

    source: Source
    received: int
    pcm: bytes | None
    """s16le mono at the call's rate; None while a `play` is being fetched."""
    ready: int = 0
    started: int | None = None
    ended: int | None = None
    cut: bool = False
    """Silenced before its end, or before it began."""

    @property
    def samples(self) -> int:
        """Length of the audio in samples; 0 while unknown."""
        return len(self.pcm or b"") // 2


class Playout:
    """A queue of playbacks rendered to one gapless signal on the caller's timeline."""

    def __init__(self, rate: int, seam_gap_ms: int = 20) -> None:
        self.rate = rate
        self.heard = bytearray()
        """Everything rendered so far, s16le mono; sample i was heard at i / rate seconds."""
        self.history: list[Playback] = []
        self._seam = rate * seam_gap_ms // 1000
        self._queue: deque[Playback] = deque()
        self._free_at = 0

    @property
    def position(self) -> int:
        """Samples rendered so far."""
        return len(self.heard) // 2

    @property
    def playing(self) -> Playback | None:
        """The playback that is being heard now."""
        return self._queue[0] if self._queue and self._queue[0].started is not None else None

    @property
    def waiting(self) -> int:
        """Playbacks that have not begun."""
        return len(self._queue) - (self.playing is not None)

    def enqueue(self, pcm: bytes, at: int) -> Playback:
        """A `streamAudio` (s16le mono at the call's rate) that arrived at sample `at`."""
        return self._append(Playback("streamAudio", at, pcm, ready=at))

    def reserve(self, at: int) -> Playback:
        """A `play` whose file is still to be fetched; it keeps its place in the queue."""
        return self._append(Playback("play", at, None))

    def fill(self, playback: Playback, pcm: bytes, at: int) -> None:
        """The file of a reserved playback is here."""
        self.advance(at)
        playback.pcm, playback.ready = pcm, at

    def discard(self, playback: Playback) -> None:
        """The file of a reserved playback will not come: those behind it go on."""
        if playback in self._queue:
            self._queue.remove(playback)
        playback.cut = True

    def silence(self, at: int) -> None:
        """`break`: what is playing stops at sample `at`, what waits is dropped."""
        self.advance(at)
        for playback in self._queue:
            playback.cut = True
            if playback.started is not None:
                playback.ended = self.position
        self._queue.clear()
        self._free_at = self.position

    def advance(self, to: int) -> None:
        """Render up to sample `to`; a time already rendered is no error and changes nothing."""
        while self.position < to:
            head = self._queue[0] if self._queue else None
            start = self._start_of(head) if head is not None else None
            if head is None or start is None or start >= to:
                self._silent_until(to)
                return
            self._silent_until(start)
            if head.started is None:
                head.started = self.position
            self._sound(head, to)

    def _append(self, playback: Playback) -> Playback:
        if playback.pcm is not None and len(playback.pcm) % 2:
            raise SimulatorError(f"a playback of {len(playback.pcm)} bytes is no s16le audio (odd length)")
        self.advance(playback.received)
        self._queue.append(playback)
        self.history.append(playback)
        return playback

    def _start_of(self, head: Playback) -> int | None:
        if head.pcm is None:
            return None
        return head.started if head.started is not None else max(head.ready, self._free_at)

    def _silent_until(self, sample: int) -> None:
        if sample > self.position:
            self.heard += bytes(2 * (sample - self.position))

    def _sound(self, head: Playback, to: int) -> None:
        assert head.pcm is not None
        assert head.started is not None
        done = self.position - head.started
        count = min(head.samples - done, to - self.position)
        self.heard += head.pcm[2 * done : 2 * (done + count)]
        if done + count == head.samples:
            head.ended = self.position
            self._free_at = self.position + self._seam
            self._queue.popleft()
