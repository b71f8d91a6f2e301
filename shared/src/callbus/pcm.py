"""Sizes and lengths of s16le mono audio."""

from __future__ import annotations

SAMPLE_BYTES = 2
FRAME_MS = 20
CALL_RATES = (8000, 16000)


def frame_bytes(sample_rate: int) -> int:
    """Bytes in one 20 ms frame."""
    return sample_rate * FRAME_MS // 1000 * SAMPLE_BYTES


def duration_ms(byte_count: int, sample_rate: int) -> float:
    """Length in ms of that many bytes."""
    return byte_count * 1000 / (sample_rate * SAMPLE_BYTES)


def bytes_in(ms: float, sample_rate: int) -> int:
    """Bytes in that many ms, a whole number of samples."""
    return int(ms * sample_rate / 1000) * SAMPLE_BYTES
