"""Callers' speech as the WebSocket messages that carry it: made once, sent by every call. Sans-I/O."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from support.recordings import load, mulaw_roundtrip, to_pcm

RATE = 8000
FRAME_S = 0.02
FRAME_BYTES = 320
SPOKEN = ("arctic_a0007", "goforward", "librivox_0880", "librivox_0930")
"""Recordings of one clause each: there is no pause in them after which a bot would answer."""
NOISE_S = 5
NOISE_LEVEL = 4.0
"""RMS amplitude (of 32767) of a quiet line, about -78 dBFS."""


@dataclass(frozen=True, slots=True)
class Clip:
    """20 ms a message; the last loud one is `messages[ends - 1]`."""

    messages: list[bytes]
    ends: int


def message(pcm: bytes) -> bytes:
    """A binary WebSocket message of a client (RFC 6455 5.2), masked, of 126 to 65535 bytes."""
    if not 126 <= len(pcm) <= 0xFFFF:
        raise ValueError(f"{len(pcm)} bytes: expected 126 to 65535")
    key = os.urandom(4)
    mask = (key * (len(pcm) // 4 + 1))[: len(pcm)]
    masked = int.from_bytes(pcm, "big") ^ int.from_bytes(mask, "big")
    return b"\x82\xfe" + len(pcm).to_bytes(2, "big") + key + masked.to_bytes(len(pcm), "big")


def clips() -> list[Clip]:
    """Real recordings as a phone delivers them, on 20 ms."""
    found = []
    for name in SPOKEN:
        recording = load(name)
        ends = recording.speech_ms[1] // 20 + 1
        found.append(Clip(_messages(recording.pcm)[: ends + 1], ends))
    return found


def line_noise(seed: int) -> Clip:
    """A line on which nobody speaks: never digital silence."""
    samples = np.random.default_rng(seed).normal(0.0, NOISE_LEVEL, RATE * NOISE_S).astype(np.float32)
    return Clip(_messages(to_pcm(mulaw_roundtrip(samples / np.float32(32768)))), 0)


def _messages(pcm: bytes) -> list[bytes]:
    starts = range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)
    return [message(pcm[start : start + FRAME_BYTES]) for start in starts]
