"""Doubles the sample rate of a stream: 8 kHz audio (G.711) in a session that runs at 16 kHz."""

import numpy as np
from numpy.typing import NDArray

_HALF = 8
"""Input samples on each side of a new one. Delays by 8 input samples: 1 ms at 8 kHz."""


def _taps() -> NDArray[np.float64]:
    """A windowed sinc, taken half-way between the input's samples, of unity gain."""
    distance = np.arange(-_HALF, _HALF) + 0.5
    window: NDArray[np.float64] = np.kaiser(2 * _HALF + 1, 6.0)
    taps = np.sinc(distance) * np.interp(distance, np.arange(-_HALF, _HALF + 1), window)
    return np.asarray(taps / taps.sum(), dtype=np.float64)


_TAPS = _taps()


class Doubler:
    """A half-band interpolator: every input sample is kept as it is, a filtered one is put behind it."""

    def __init__(self) -> None:
        self._history: NDArray[np.int16] = np.zeros(2 * _HALF - 1, dtype=np.int16)

    def push(self, pcm: bytes) -> bytes:
        """s16le mono in, twice as many samples out."""
        incoming: NDArray[np.int16] = np.frombuffer(pcm, "<i2")
        if not len(incoming):
            return b""
        samples = np.concatenate((self._history, incoming))
        self._history = samples[-(2 * _HALF - 1) :]
        between = np.rint(np.convolve(samples, _TAPS, "valid")).clip(-32768, 32767)
        doubled = np.empty(2 * len(incoming), dtype="<i2")
        doubled[0::2] = samples[_HALF - 1 : _HALF - 1 + len(incoming)]
        doubled[1::2] = between
        return doubled.tobytes()
