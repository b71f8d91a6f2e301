"""One session's outgoing side: the playout clock with a timer, a wire and a recorder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from callbus import media, tracing
from streamer import commands
from streamer.metrics import Counters
from streamer.playout import Piece, PlayoutClock
from streamer.recording import Recorder
from streamer.segments import File

if TYPE_CHECKING:
    from callbus.otlp import Span


class Speech:
    """What the bot says, from the worker's commands to the media server. `now()` is epoch seconds.

    `bus_ahead()` is how far (s) Redis' clock is ahead of `now`, as far as it is known.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        now: Callable[[], float],
        send_text: Callable[[str], None],
        tell: Callable[[media.MediaEvent], None],
        recorder: Recorder,
        counters: Counters,
        lag: float,
        bus_ahead: Callable[[], float | None],
    ) -> None:
        self._rate = sample_rate
        self._now = now
        self._send_text = send_text
        self._tell = tell
        self._recorder = recorder
        self._counters = counters
        self._bus_ahead = bus_ahead
        self._clock = PlayoutClock(sample_rate, lag=lag)
        self._timer: asyncio.TimerHandle | None = None
        self._traced: dict[str, tuple[Span, float]] = {}
        """Of segments that are not heard yet: whose work they are, and when they came."""

    def speak(self, segment: str, pcm: bytes, last: bool) -> None:
        """Add speech."""
        if self._clock.speak(self._now(), segment, pcm, last) and (span := tracing.current()):
            self._traced.setdefault(segment, (span, span.now()))
        self._poll()

    def refuse(self, segment: str, pcm: bytes, last: bool) -> None:
        """Speech came that nobody can hear: it is cut, with nothing heard."""
        now = self._now()
        if self._clock.speak(now, segment, pcm, last):
            self._clock.break_(now)
        self._poll()

    def play(self, file: File) -> None:
        """Let the media server play a file when its turn comes."""
        self._clock.play(self._now(), file)
        self._poll()

    def break_(self) -> None:
        """Silence at once."""
        now = self._now()
        if self._clock.break_(now):
            self._counters.breaks_out += 1
            self._send_text(commands.break_())
        self._recorder.cut(now)
        self._poll()

    def take_over(self) -> None:
        """Drop what has not been sent."""
        self._clock.take_over(self._now())
        self._poll()

    def forget(self) -> None:
        """Drop what has not been sent, and know no segment by its name any more."""
        self._clock.forget(self._now())
        self._poll()

    def close(self) -> None:
        """The connection is gone: what plays is cut, and tell so."""
        now = self._now()
        self._clock.break_(now)
        self._recorder.cut(now)
        self._poll()
        self._counters.playout_underruns += self._clock.underruns
        self._counters.playout_late_chunks += self._clock.late_chunks
        self._clock.underruns = self._clock.late_chunks = 0

    def _poll(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = self._now()
        outputs, events = self._clock.poll(now)
        for event in events:
            if self._traced:
                self._trace(event)
            self._tell(event if event.state != "started" else replace(event, bus_ahead=self._bus_ahead()))
        for output in outputs:
            match output:
                case Piece(start, pcm):
                    self._counters.pieces_out += 1
                    self._send_text(commands.stream_audio(pcm, self._rate))
                    self._recorder.bot(start, pcm)
                case File(url, action_id):
                    self._send_text(commands.play(url))
                    if action_id:
                        self._tell(media.ActionDone(round(now, 3), action_id))
        wake = self._clock.next_wake()
        if wake is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.001, wake - now), self._poll)

    def _trace(self, event: media.Playback) -> None:
        """A segment's way from its first audio's arrival to the wire, told when it is heard, or never will be."""
        if (traced := self._traced.pop(event.segment, None)) is None:
            return
        span, arrived = traced
        if event.sent_at is None or event.arrived_at is None:
            span.add("streamer.speak", {"cut": True}, start=arrived, end=span.now())
        else:
            waited = event.sent_at - event.arrived_at
            span.add("streamer.speak", {"on_wire": True}, start=arrived, end=arrived + waited)
