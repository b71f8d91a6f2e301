"""What the fakes' text-to-speech says, and the pace at which it comes."""

from __future__ import annotations

import numpy as np

from support.fake_providers.script import Piece

SECONDS_PER_CHARACTER = 0.06


def tone(text: str, sample_rate: int) -> bytes:
    """The default voice: 220 Hz as s16le mono, 60 ms a character, about the pace of speech."""
    samples = np.arange(round(len(text) * SECONDS_PER_CHARACTER * sample_rate))
    return bytes((8000 * np.sin(2 * np.pi * 220 / sample_rate * samples)).astype("<i2").tobytes())


def evenly(text: str, seconds: float) -> list[float]:
    """When each character of a text that takes `seconds` ends, if all are equally long."""
    return [seconds * (n + 1) / len(text) for n in range(len(text))]


def speech_pieces(audio: bytes, sample_rate: int, *, first_byte: float, speed: float, piece_bytes: int) -> list[Piece]:
    """`audio` (s16le mono), the first piece after `first_byte` s, the rest `speed` times faster than it is spoken."""
    return [
        Piece(first_byte + start / (2 * sample_rate * speed), audio[start : start + piece_bytes])
        for start in range(0, len(audio), piece_bytes)
    ]
