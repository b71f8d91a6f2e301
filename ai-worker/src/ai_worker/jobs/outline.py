"""The outline of a recording, drawn while it is joined, so that nobody has to read the recording to show it."""

from __future__ import annotations

from base64 import b64encode

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from ai_worker.jobs.parts import CHANNELS

MOST_POINTS = 1000
"""As many as a wide screen shows; a record stays small, however long the call was."""
_STEP_MS = 100
_LOUDEST = 32767


class Waveform(BaseModel):
    """The loudest sample of every `ms_per_point`, for each channel: base64, a byte a point, 255 is full scale."""

    model_config = ConfigDict(frozen=True)

    ms_per_point: int
    caller: str
    bot: str


class Outline:
    """Is given a recording of `frames` samples per channel, block by block: s16le stereo, left the caller."""

    def __init__(self, frames: int, sample_rate: int) -> None:
        steps = -(-frames * 1000 // (sample_rate * _STEP_MS))
        self._ms = _STEP_MS * max(1, -(-steps // MOST_POINTS))
        self._frames = sample_rate * self._ms // 1000
        self._rest = np.zeros((0, CHANNELS), np.uint16)
        self._peaks: list[npt.NDArray[np.uint16]] = []

    def add(self, block: bytes) -> None:
        """The next samples; whole frames."""
        samples = np.frombuffer(block, "<i2").reshape(-1, CHANNELS)
        # -32768 has no positive twin in 16 bits.
        loud = np.concatenate((self._rest, np.minimum(np.abs(samples.astype(np.int32)), _LOUDEST).astype(np.uint16)))
        whole = len(loud) // self._frames * self._frames
        if whole:
            self._peaks.append(loud[:whole].reshape(-1, self._frames, CHANNELS).max(axis=1))
        self._rest = loud[whole:]

    def waveform(self) -> Waveform:
        """What was given so far; the last point may stand for less."""
        last = [self._rest.max(axis=0, keepdims=True)] if len(self._rest) else []
        peaks = np.concatenate((np.zeros((0, CHANNELS), np.uint16), *self._peaks, *last))
        points = np.round(peaks * (255 / _LOUDEST)).astype(np.uint8)
        caller, bot = (b64encode(points[:, channel].tobytes()).decode() for channel in range(CHANNELS))
        return Waveform(ms_per_point=self._ms, caller=caller, bot=bot)
