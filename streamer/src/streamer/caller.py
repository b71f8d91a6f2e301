"""A session's side towards the caller: what the media server sends of them is decoded, recorded and told to the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from callbus import media
from callbus.pcm import FRAME_MS
from streamer.context import Context
from streamer.dtmf import Tone, ToneDetector
from streamer.feed import Feed
from streamer.inbound import Audio, Dtmf, Event, InboundDecoder
from streamer.presses import Presses, Ration
from streamer.recording import Recorder


class Caller:
    """The caller of one session, as they are heard: 20 ms frames, and the keys that they press.

    The loop's time plus `epoch_offset` is epoch seconds. `tell` takes the keys; `other` takes what else was sent.
    """

    def __init__(
        self,
        context: Context,
        *,
        feed: Feed,
        recorder: Recorder,
        sample_rate: int,
        channels: int,
        epoch_offset: float,
        tell: Callable[[media.MediaEvent], None],
        other: Callable[[Event], None],
    ) -> None:
        self.live = False
        """The audio is written as it comes; otherwise it waits in the feed."""
        self._outbox = context.outbox
        self._counters = context.counters
        self._feed = feed
        self._recorder = recorder
        self._loop = asyncio.get_running_loop()
        self._epoch_offset = epoch_offset
        self._tell = tell
        self._other = other
        self._decoder = InboundDecoder(sample_rate, channels)
        self._tones = ToneDetector(sample_rate)
        self._presses = Presses()
        self._ration = Ration()
        self._position_ms = 0

    def on_binary(self, data: bytes) -> None:
        """A binary message arrived."""
        if self._decoder.is_next_chunk(data):
            self._receive_audio(data)
        else:
            self._receive(self._decoder.receive_binary(data))

    def on_text(self, text: str) -> int:
        """A text message arrived. Returns how many things it told."""
        events = self._decoder.receive_text(text)
        self._receive(events)
        return len(events)

    def flush(self) -> None:
        """No more will come: what was held back counts."""
        self._receive(self._decoder.flush())

    def close(self) -> None:
        """The connection is of no more use."""
        self.live = False
        counters, lost = self._counters, self._decoder.counters
        counters.rtp_concealed += lost.rtp_concealed
        counters.rtp_dropped += lost.rtp_dropped
        counters.rtp_resyncs += lost.rtp_resyncs
        lost.rtp_concealed = lost.rtp_dropped = lost.rtp_resyncs = 0

    def _receive(self, events: list[Event]) -> None:
        for event in events:
            if type(event) is Audio:
                self._receive_audio(event.pcm)
            elif isinstance(event, Dtmf):
                self._receive_signalled(event)
            else:
                self._other(event)

    def _receive_audio(self, pcm: bytes) -> None:
        now = self._loop.time() + self._epoch_offset
        self._counters.frames_in += 1
        self._recorder.caller(now, pcm)
        feed = self._feed
        if not feed.muted:
            if (tone := self._tones.receive(pcm)) is not None:
                self._receive_tone(now, tone)
                # Nobody speaks through a tone, and a recogniser of speech makes words of it.
                pcm = bytes(len(pcm))
            if feed.audio(now, self._position_ms, pcm) and self.live:
                self._outbox.mark(feed)
        self._position_ms += FRAME_MS

    def _receive_tone(self, now: float, tone: Tone) -> None:
        if tone.digit is None:
            self._presses.still_heard(now)
        elif self._presses.heard(tone.digit, now):
            self._take_press(tone.digit, now)

    def _receive_signalled(self, key: Dtmf) -> None:
        now = self._loop.time() + self._epoch_offset
        if self._presses.signalled(key.digit, now):
            self._take_press(key.digit, now)

    def _take_press(self, digit: str, now: float) -> None:
        if self._ration.allows(now):
            self._tell(media.Dtmf(round(now, 3), digit))
        else:
            self._counters.presses_dropped += 1
