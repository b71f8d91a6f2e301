"""Cuts what a client sends into whole WebSocket frames (RFC 6455, 5.2). Sans-I/O.

Nearly all that comes is one form of frame: a whole binary message. Those are read here, at a tenth of the cost of a
parser for everything; the others are left to it as they came.
"""

from __future__ import annotations

from collections.abc import Iterator

try:
    from websockets.speedups import apply_mask
except ImportError:  # built without a compiler
    from websockets.utils import apply_mask

_WHOLE_BINARY = 0x82
_MASKED = 0x80
_LENGTH_16 = 126
_LENGTH_64 = 127
_HEAD_MAX_BYTES = 14
_REFUSED = 1 << 64
"""The size of what a server must refuse: a client's frames are masked."""


def whole_message(data: bytes) -> bytes | None:
    """The payload, if `data` is just one frame, and that a whole binary message, masked, of at most 65,535 bytes."""
    if len(data) < 6 or data[0] != _WHOLE_BINARY:
        return None
    length, begin = data[1] - _MASKED, 6
    if length == _LENGTH_16:
        length, begin = int.from_bytes(data[2:4], "big"), 8
    if length < 0 or length == _LENGTH_64 or len(data) != begin + length:
        return None
    return apply_mask(data[begin:], data[begin - 4 : begin])


class FrameCutter:
    """Stands at the beginning of a frame at first. Holds less than one frame of at most `max_bytes` payload."""

    def __init__(self, max_bytes: int) -> None:
        self._max_size = max_bytes + _HEAD_MAX_BYTES
        self._rest = b""
        self._gave_up = False

    @property
    def at_a_frame(self) -> bool:
        """The next byte is a frame's first one."""
        return not self._rest and not self._gave_up

    def cut(self, data: bytes) -> Iterator[bytes]:
        """The frames that are whole now, as they came. One that is too long, or that can't be one, comes at once, and
        so does all that follows it: it is the parser's to complain."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        if self._gave_up:
            yield data
            return
        begin, size = 0, self._size(data, 0)
        while size is not None and begin + size <= len(data):
            yield data[begin : begin + size]
            begin += size
            size = self._size(data, begin)
        if size is not None and size > self._max_size:
            self._gave_up = True
            yield data[begin:]
        else:
            self._rest = data[begin:]

    def _size(self, data: bytes, begin: int) -> int | None:
        """Of the frame that begins there, its head included; None while that is not known."""
        known = len(data) - begin
        if known < 2:
            return None
        if not data[begin + 1] & _MASKED:
            return _REFUSED
        length, head = data[begin + 1] & 0x7F, 2
        if length >= _LENGTH_16:
            head = 4 if length == _LENGTH_16 else 10
            if known < head:
                return None
            length = int.from_bytes(data[begin + 2 : begin + head], "big")
        return head + 4 + length
