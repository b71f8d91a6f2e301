"""DTMF tones (ITU-T Q.23), for keys pressed in-band."""

from __future__ import annotations

import numpy as np

from ringover_sim.audio import to_pcm
from ringover_sim.errors import ScriptError

KEYS = "123A456B789C*0#D"
_ROWS = (697, 770, 852, 941)
_COLUMNS = (1209, 1336, 1477, 1633)
TONE_MS = 100
PAUSE_MS = 100
_LEVEL = 0.2
"""Amplitude of each of the two tones: about -14 dBFS, as a handset sends them."""


def tones(keys: str, rate: int) -> bytes:
    """The keys as s16le mono at `rate` Hz, 100 ms of tone and 100 ms of silence each. Raises ScriptError."""
    return b"".join(_tone(key, rate) + bytes(2 * (rate * PAUSE_MS // 1000)) for key in keys)


def _tone(key: str, rate: int) -> bytes:
    index = KEYS.find(key)
    if index < 0 or len(key) != 1:
        raise ScriptError(f"{key!r} is no key of a telephone; expected digits, * or # (or A-D)")
    time = np.arange(rate * TONE_MS // 1000) / rate
    row, column = _ROWS[index // 4], _COLUMNS[index % 4]
    return to_pcm(_LEVEL * (np.sin(2 * np.pi * row * time) + np.sin(2 * np.pi * column * time)))
