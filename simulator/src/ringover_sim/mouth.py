"""What the caller sends: prepared lines and line noise as one endless signal, 20 ms at a time; Sans-I/O."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ringover_sim.audio import g711_decode, g711_encode
from ringover_sim.ear import LOUD
from ringover_sim.errors import AudioError

COMFORT_LEVEL = 4.0
"""RMS amplitude (of 32767) of the noise of a quiet line, about -78 dBFS: never digital silence."""
_NOISE_SECONDS = 5


@dataclass(slots=True, eq=False)
class Line:
    """One thing the caller says; positions are samples since the call was answered, None before they are reached."""

    pcm: bytes
    start: int | None = None
    end: int | None = None
    """One past the last sample sent, trailing silence included."""

    @property
    def speech_start(self) -> int | None:
        """The first loud sample: when a listener would say the caller began to speak."""
        loud = self._loud()
        return None if self.start is None else self.start + (int(loud[0]) if len(loud) else 0)

    @property
    def speech_end(self) -> int | None:
        """One past the last loud sample: when a listener would say the caller stopped speaking."""
        loud = self._loud()
        return None if self.start is None else self.start + (int(loud[-1]) + 1 if len(loud) else len(self.pcm) // 2)

    def _loud(self) -> NDArray[np.intp]:
        return np.flatnonzero(np.abs(np.frombuffer(self.pcm, "<i2").astype(np.int32)) > LOUD)


class Mouth:
    """Queue of lines over a floor of noise, companded like a telephone line.

    `noise_rms` is the noise's RMS amplitude (of 32767); `phone` puts everything through G.711 µ-law.
    """

    def __init__(self, rate: int, noise_rms: float = COMFORT_LEVEL, *, phone: bool = True, seed: int = 1) -> None:
        self.sent = bytearray()
        """Everything produced so far, s16le mono at `rate` Hz."""
        generator = np.random.default_rng(seed)
        self._noise = generator.normal(0.0, noise_rms, rate * _NOISE_SECONDS).astype(np.float32)
        self._phone = phone
        self._lines: deque[Line] = deque()

    @property
    def position(self) -> int:
        """Samples produced so far."""
        return len(self.sent) // 2

    def say(self, pcm: bytes) -> Line:
        """Queue a line (s16le mono at the call's rate); it begins with the next chunk, or after the lines before it."""
        if not pcm:
            raise AudioError("a line without audio can't be spoken")
        line = Line(pcm)
        self._lines.append(line)
        return line

    def next_chunk(self, samples: int) -> bytes:
        """The next `samples` samples, s16le mono."""
        mixed = np.take(self._noise, np.arange(self.position, self.position + samples), mode="wrap")
        filled = 0
        while self._lines and filled < samples:
            line = self._lines[0]
            if line.start is None:
                line.start = self.position + filled
            done = self.position + filled - line.start
            part = np.frombuffer(line.pcm, "<i2", offset=2 * done)[: samples - filled]
            mixed[filled : filled + len(part)] += part
            filled += len(part)
            if 2 * (done + len(part)) == len(line.pcm):
                line.end = self.position + filled
                self._lines.popleft()
        chunk = np.clip(np.rint(mixed), -32768, 32767).astype("<i2").tobytes()
        if self._phone:
            chunk = g711_decode(g711_encode(chunk, "pcmu"), "pcmu")
        self.sent += chunk
        return chunk
