"""Keys of a telephone as tones (ITU-T Q.23), at any level, twist, length and detuning, for tests that hear them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from callbus import g711

KEYS = "123A456B789C*0#D"
_ROWS = (697.0, 770.0, 852.0, 941.0)
_COLUMNS = (1209.0, 1336.0, 1477.0, 1633.0)
_FULL = 32768 * 10 ** (-3.14 / 20)
"""Peak of a sine of 0 dBm0, in G.711's scale."""


def tones(
    keys: str,
    rate: int,
    *,
    on_ms: float = 45,
    off_ms: float = 45,
    dbm0: float = -10,
    twist_db: float = 0,
    detuned: float = 0,
    lead_ms: float = 0,
    snr_db: float | None = None,
    seed: int = 1,
) -> bytes:
    """s16le mono: `lead_ms` of silence, then the keys, each followed by `off_ms`, then 200 ms.

    `dbm0` is the level of each tone; `twist_db` makes the column's that much stronger than the row's, both moved by
    half of it; `detuned` moves both frequencies by that share; `snr_db` puts white noise under all.
    """
    parts = [_silence(lead_ms, rate)]
    for key in keys:
        time = np.arange(round(rate * on_ms / 1000)) / rate
        index = KEYS.index(key)
        for_row, for_column = (_FULL * 10 ** ((dbm0 + sign * twist_db / 2) / 20) for sign in (-1, 1))
        row, column = (frequency * (1 + detuned) for frequency in (_ROWS[index // 4], _COLUMNS[index % 4]))
        parts.append(
            for_row * np.sin(2 * np.pi * row * time + 0.3) + for_column * np.sin(2 * np.pi * column * time + 1.0)
        )
        parts.append(_silence(off_ms, rate))
    samples = np.concatenate([*parts, _silence(200, rate)])
    if snr_db is not None:
        power = _FULL**2 * 10 ** (dbm0 / 10) * (10 ** (twist_db / 20) + 10 ** (-twist_db / 20)) / 2
        noise = np.random.default_rng(seed).normal(0, np.sqrt(power * 10 ** (-snr_db / 10)), len(samples))
        samples = samples + noise
    return s16le(samples)


def s16le(samples: NDArray[np.float64]) -> bytes:
    """Samples of ±32768; louder ones are clipped."""
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


def through_ulaw(pcm: bytes) -> bytes:
    return g711.ulaw_decode(g711.ulaw_encode(pcm))


def through_alaw(pcm: bytes) -> bytes:
    return g711.alaw_decode(g711.alaw_encode(pcm))


def _silence(ms: float, rate: int) -> NDArray[np.float64]:
    return np.zeros(round(rate * ms / 1000))
