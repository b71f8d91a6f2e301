"""G.711 µ-law and A-law: 8-bit companded samples to and from s16le mono, by lookup table.

Levels and decision values are those of ITU-T G.711 (tables 1a to 2b), rounded as ITU-T's reference software
(G.191, `ulaw_compress`, `alaw_compress`) does: µ-law keeps 14 of the 16 bits, A-law 13.
"""

import numpy as np
from numpy.typing import NDArray

_MU_BIAS = 33
_MU_CLIP = 0x1FFF
_A_TOGGLE = 0x55
"""A-law inverts every other bit on the wire."""


def _little_endian(samples: NDArray[np.int32]) -> NDArray[np.int16]:
    return np.asarray(samples, dtype="<i2")


def _ulaw_levels() -> NDArray[np.int16]:
    code = ~np.arange(256, dtype=np.int32) & 0xFF
    segment, step = (code >> 4) & 7, code & 15
    magnitude = ((((step << 1) + _MU_BIAS) << segment) - _MU_BIAS) << 2
    return _little_endian(np.where(code & 0x80, -magnitude, magnitude))


def _alaw_levels() -> NDArray[np.int16]:
    code = np.arange(256, dtype=np.int32) ^ _A_TOGGLE
    segment, step = (code >> 4) & 7, code & 15
    magnitude = ((step << 1) + 1 + np.where(segment > 0, 32, 0)) << (np.maximum(segment, 1) - 1) << 3
    return _little_endian(np.where(code & 0x80, magnitude, -magnitude))


def _every_sample() -> NDArray[np.int32]:
    """All 16-bit samples in the order of their unsigned bit patterns, so that a pattern is its own index."""
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _bit_length(values: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.frexp(values.astype(np.float64))[1].astype(np.int32)


def _ulaw_codes() -> NDArray[np.uint8]:
    sample = _every_sample()
    magnitude = np.minimum((np.where(sample < 0, ~sample, sample) >> 2) + _MU_BIAS, _MU_CLIP)
    segment = _bit_length(magnitude) - 6
    code = (segment << 4) | ((magnitude >> (segment + 1)) & 15)
    return np.asarray(~np.where(sample < 0, code | 0x80, code) & 0xFF, dtype=np.uint8)


def _alaw_codes() -> NDArray[np.uint8]:
    sample = _every_sample()
    magnitude = np.where(sample < 0, ~sample, sample) >> 4
    segment = np.maximum(_bit_length(magnitude) - 4, 0)
    code = (segment << 4) | ((magnitude >> np.maximum(segment - 1, 0)) & 15)
    return np.asarray(np.where(sample < 0, code, code | 0x80) ^ _A_TOGGLE, dtype=np.uint8)


_ULAW_LEVELS, _ALAW_LEVELS = _ulaw_levels(), _alaw_levels()
_ULAW_CODES, _ALAW_CODES = _ulaw_codes(), _alaw_codes()


def _patterns(pcm: bytes) -> NDArray[np.uint16]:
    patterns: NDArray[np.uint16] = np.frombuffer(pcm, "<u2")
    return patterns


def ulaw_decode(companded: bytes) -> bytes:
    """µ-law (one byte a sample) to s16le (two bytes a sample)."""
    return _ULAW_LEVELS[np.frombuffer(companded, np.uint8)].tobytes()


def alaw_decode(companded: bytes) -> bytes:
    """A-law (one byte a sample) to s16le (two bytes a sample)."""
    return _ALAW_LEVELS[np.frombuffer(companded, np.uint8)].tobytes()


def ulaw_encode(pcm: bytes) -> bytes:
    """s16le to µ-law. Raises ValueError for an odd number of bytes."""
    return _ULAW_CODES[_patterns(pcm)].tobytes()


def alaw_encode(pcm: bytes) -> bytes:
    """s16le to A-law. Raises ValueError for an odd number of bytes."""
    return _ALAW_CODES[_patterns(pcm)].tobytes()
