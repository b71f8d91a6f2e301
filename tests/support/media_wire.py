"""What a media server puts on the wire, made by hand: RTP packets, and audio to put into them."""

import struct
from collections.abc import Iterable

import numpy as np

from streamer.inbound import Audio, Event

SSRC = 0x1234ABCD


def rtp(
    sequence: int,
    payload: bytes,
    *,
    payload_type: int = 0,
    timestamp: int = 0,
    ssrc: int = SSRC,
    marker: bool = False,
    csrc: int = 0,
    extension: bytes | None = None,
    padding: int = 0,
) -> bytes:
    """One RTP packet (RFC 3550, section 5.1). `extension` is the extension's words, `padding` its length in bytes."""
    first = 0x80 | (0x20 if padding else 0) | (0x10 if extension is not None else 0) | csrc
    header = struct.pack(
        "!BBHII", first, payload_type | (marker << 7), sequence % 0x10000, timestamp % 0x100000000, ssrc
    )
    header += b"".join(struct.pack("!I", source) for source in range(csrc))
    if extension is not None:
        header += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
    return header + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def telephone_event(sequence: int, key: int, timestamp: int, *, duration: int = 160, end: bool = False) -> bytes:
    """One packet of a key press (RFC 4733, section 2.3) with payload type 101."""
    payload = struct.pack("!BBH", key, (0x80 if end else 0) | 10, duration)
    return rtp(sequence, payload, payload_type=101, timestamp=timestamp)


def heard(events: Iterable[Event]) -> bytes:
    """All audio of the events, joined."""
    return b"".join(event.pcm for event in events if isinstance(event, Audio))


def voice(sample_rate: int, seconds: float, *, seed: int = 7, level: float = 3000.0) -> bytes:
    """s16le mono like speech: a gliding pitch with harmonics, in syllables with pauses, a quiet room behind."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(sample_rate * seconds)) / sample_rate
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time)) / sample_rate
    harmonics = sum(np.sin(phase * n + n) / n for n in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * time) + 0.2, 0, 1)
    room = rng.normal(0, 20, len(time))
    return bytes((harmonics * syllables * level + room).clip(-32768, 32767).astype("<i2").tobytes())
