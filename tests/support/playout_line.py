"""The playout clock on virtual time, with a media server that takes what it sends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from callbus.media import Playback
from callbus.pcm import bytes_in
from streamer.playout import Piece, PlayoutClock
from streamer.segments import File

RATE = 8000
BYTES_PER_S = RATE * 2


def audio(ms: float, fill: int = 1) -> bytes:
    return bytes([fill]) * bytes_in(ms, RATE)


def at(time: float, state: Literal["started", "finished", "cut", "idle"], *rest: Any) -> Playback:
    """An event at about this time."""
    about: Any = pytest.approx(time)
    return Playback(about, state, *rest)


@dataclass
class Line:
    """A clock, the media server that plays what it sends, and what it reported."""

    clock: PlayoutClock = field(default_factory=lambda: PlayoutClock(RATE))
    now: float = 100.0
    pieces: list[tuple[float, Piece]] = field(default_factory=list)
    files: list[tuple[float, File]] = field(default_factory=list)
    events: list[Playback] = field(default_factory=list)
    wire: list[tuple[float, Piece | None]] = field(default_factory=list)
    """Pieces and breaks (None) in the order in which they were sent."""

    def speak(self, segment: str, pcm: bytes, last: bool = True) -> bool:
        accepted = self.clock.speak(self.now, segment, pcm, last)
        self.poll()
        return accepted

    def play(self, url: str) -> None:
        self.clock.play(self.now, File(url, ""))
        self.poll()

    def break_(self) -> bool:
        on_wire = self.clock.break_(self.now)
        if on_wire:
            self.wire.append((self.now, None))
        self.poll()
        return on_wire

    def take_over(self) -> None:
        self.clock.take_over(self.now)
        self.poll()

    def forget(self) -> None:
        self.clock.forget(self.now)
        self.poll()

    def poll(self) -> None:
        outputs, events = self.clock.poll(self.now)
        self.events += events
        for output in outputs:
            if isinstance(output, Piece):
                self.pieces.append((self.now, output))
                self.wire.append((self.now, output))
            else:
                self.files.append((self.now, output))

    def run(self, seconds: float) -> None:
        """Let time pass, waking when the clock asks for it."""
        end = self.now + seconds
        while (wake := self.clock.next_wake()) is not None and wake <= end:
            assert wake >= self.now or wake == pytest.approx(self.now)
            self.now = max(wake, self.now)
            before = self.clock.next_wake()
            self.poll()
            assert self.clock.next_wake() != before, "the clock asked to be woken for nothing"
        self.now = end
        self.poll()

    def states(self) -> list[tuple[str, str]]:
        return [(event.state, event.segment) for event in self.events]
