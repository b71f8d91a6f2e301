"""Log-mel features of speech as Whisper's encoder takes them, for 8 s at 16 kHz.

Source: Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision" (2022), section 2.2; the mel scale
and the normalised triangles are Slaney's (Auditory Toolbox, 1998).
"""

from __future__ import annotations

from functools import cache
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

RATE: Final = 16_000
SECONDS: Final = 8
BANDS: Final = 80
_WINDOW, _HOP = 400, 160
_LINEAR_UP_TO_HZ = 1000.0
_HZ_A_MEL = 200 / 3
_LOG_STEP = np.log(6.4) / 27

Floats: TypeAlias = NDArray[np.float32]


def log_mel(samples: Floats) -> Floats:
    """(80 bands, 800 frames of 10 ms) of the last 8 s of `samples` (-1..1 at 16 kHz); less stands after silence."""
    length = RATE * SECONDS
    last = samples[-length:]
    padded = np.concatenate([np.zeros(length - len(last), np.float32), last])
    level = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    reflected = np.pad(level, _WINDOW // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(reflected, _WINDOW)[::_HOP][: length // _HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(_WINDOW + 1)[:-1])) ** 2
    bands = np.log10(np.maximum(_triangles() @ power.T, 1e-10))
    features: Floats = ((np.maximum(bands, bands.max() - 8.0) + 4.0) / 4.0).astype(np.float32)
    return features


@cache
def _triangles() -> NDArray[np.float64]:
    """(bands, frequencies): one triangle a band, evenly spaced on the mel scale, of equal area."""
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), BANDS + 2))
    hertz = np.fft.rfftfreq(_WINDOW, 1 / RATE)
    rising = (hertz - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - hertz) / np.diff(edges)[1:, None]
    heights = 2.0 / (edges[2:] - edges[:-2])
    triangles: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling)) * heights[:, None]
    return triangles


def _mel(hertz: float) -> float:
    linear = _LINEAR_UP_TO_HZ / _HZ_A_MEL
    return (
        hertz / _HZ_A_MEL if hertz < _LINEAR_UP_TO_HZ else float(linear + np.log(hertz / _LINEAR_UP_TO_HZ) / _LOG_STEP)
    )


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = _LINEAR_UP_TO_HZ / _HZ_A_MEL
    return np.where(mels < linear, mels * _HZ_A_MEL, _LINEAR_UP_TO_HZ * np.exp(_LOG_STEP * (mels - linear)))
