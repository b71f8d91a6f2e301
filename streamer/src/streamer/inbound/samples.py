"""Cuts a byte stream of samples, sliced in any way, into 20 ms chunks of s16le mono."""

from callbus.pcm import frame_bytes
from streamer.inbound.events import Audio, Event

_STEREO_BYTES = 4


class Chunks:
    """Collects s16le mono bytes and gives them back as whole 20 ms chunks. Holds less than one chunk."""

    def __init__(self, sample_rate: int) -> None:
        self._size = frame_bytes(sample_rate)
        self._rest = b""

    @property
    def empty(self) -> bool:
        """Nothing waits for more."""
        return not self._rest

    def push(self, pcm: bytes) -> list[Event]:
        """Add bytes (half a sample is fine) and take the chunks that are whole now."""
        size = self._size
        if len(pcm) == size and not self._rest:
            return [Audio(pcm)]
        data = self._rest + pcm if self._rest else pcm
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        return [Audio(data[start : start + size]) for start in range(0, whole, size)]

    def drop_half_sample(self) -> None:
        """Start the next push on a sample's first byte: its source is another one."""
        self._rest = self._rest[: len(self._rest) & ~1]


class LeftChannel:
    """Takes the left channel (the caller) out of interleaved s16le stereo, sliced in any way."""

    def __init__(self) -> None:
        self._rest = b""

    def push(self, stereo: bytes) -> bytes:
        """The left samples that are whole now, s16le mono."""
        data = self._rest + stereo if self._rest else stereo
        spare = len(data) % _STEREO_BYTES
        self._rest = data[len(data) - spare :] if spare else b""
        return every_other_sample(data[: len(data) - spare])

    def clear(self) -> None:
        """Forget the part of a sample pair that waits for more."""
        self._rest = b""


def every_other_sample(stereo: bytes) -> bytes:
    """The left samples of whole interleaved 16-bit pairs."""
    left = bytearray(len(stereo) // 2)
    left[0::2] = stereo[0::4]
    left[1::2] = stereo[1::4]
    return bytes(left)


def swap_bytes(samples: bytes) -> bytes:
    """16-bit samples from network byte order to little-endian."""
    swapped = bytearray(len(samples))
    swapped[0::2] = samples[1::2]
    swapped[1::2] = samples[0::2]
    return bytes(swapped)
