"""The caller's side of the line: the track over the noise of the place, and the bot's own voice coming back."""

from __future__ import annotations

import numpy as np

from bench.moments.clips import RATE, Signal
from bench.moments.moment import Moment
from bench.moments.sounds import background
from ringover_sim.audio import g711_decode, g711_encode
from ringover_sim.mouth import COMFORT_LEVEL, Mouth

ECHO = 10 ** (-25 / 20)


class PlaceMouth(Mouth):
    """A mouth in a place. `heard` is what the caller hears (s16le mono at 8000 Hz), which an echo is made of."""

    def __init__(self, moment: Moment, seed: int) -> None:
        super().__init__(RATE, COMFORT_LEVEL, seed=seed)
        noise = background(moment.background) if moment.background else np.zeros(1, np.float32)
        # Calls side by side are not in the same place.
        self._around = np.roll(noise, seed * RATE // 7)
        self._hiss = np.random.default_rng(seed)
        self._track: Signal = np.zeros(0, np.float32)
        self._track_at = 0
        self._echo_delay = None if moment.echo_ms is None else moment.echo_ms * RATE // 1000
        self.heard = bytearray()

    def begin(self, track: Signal) -> int:
        """Send the track from now on; the sample at which it begins."""
        self._track, self._track_at = track, self.position
        return self._track_at

    def next_chunk(self, samples: int) -> bytes:
        """See Mouth."""
        at = self.position
        mixed = (
            self._hiss.normal(0, COMFORT_LEVEL, samples) + self._around[np.arange(at, at + samples) % len(self._around)]
        )
        part = self._track[max(0, at - self._track_at) : max(0, at - self._track_at + samples)]
        mixed[: len(part)] += part
        if self._echo_delay is not None:
            mixed += ECHO * self._heard_at(at - self._echo_delay, samples)
        pcm = np.clip(np.rint(mixed), -32768, 32767).astype("<i2").tobytes()
        chunk = g711_decode(g711_encode(pcm, "pcmu"), "pcmu")
        self.sent += chunk
        return chunk

    def _heard_at(self, start: int, samples: int) -> Signal:
        begin = max(0, start)
        found = np.frombuffer(bytes(self.heard[2 * begin : 2 * max(0, start + samples)]), "<i2").astype(np.float32)
        return np.pad(found, (samples - len(found), 0)) if start < 0 else np.pad(found, (0, samples - len(found)))
