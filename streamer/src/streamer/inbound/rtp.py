"""Reads RTP packets (RFC 3550) and the telephone events (RFC 4733) in them."""

import struct
from typing import NamedTuple

PCMU, PCMA = 0, 8
COMFORT_NOISE = 13
DYNAMIC = range(96, 128)

MAX_PACKET_BYTES = 8192
"""100 ms of 16 kHz stereo L16 fit; whatever is larger is no packet."""

_HEADER = struct.Struct("!BBHII")
_RTCP_HEADER = struct.Struct("!BBH")
_EXTENSION = struct.Struct("!HH")
_EVENT = struct.Struct("!BBH")
_RTCP = range(192, 224)
"""Where RTCP packet types lie in the second byte (RFC 5761, section 4)."""
_KEYS = "0123456789*#ABCD"
_RESERVED_BIT = 0x40


class RtpPacket(NamedTuple):
    """One packet, without its header's CSRC list, extension and padding."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def is_rtcp(message: bytes) -> bool:
    """Whether the message is an RTCP packet: version 2, and the length in its header fits."""
    if len(message) < _RTCP_HEADER.size or message[0] >> 6 != 2 or message[1] not in _RTCP:
        return False
    words: int = _RTCP_HEADER.unpack_from(message)[2]
    return 4 * (words + 1) <= len(message)


def parse_rtp(message: bytes) -> RtpPacket | None:
    """The message as an RTP packet, or None if its header is not one (version, lengths)."""
    length = len(message)
    if not _HEADER.size <= length <= MAX_PACKET_BYTES or message[0] >> 6 != 2 or message[1] in _RTCP:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(message)
    start, end = _HEADER.size + 4 * (first & 0x0F), length
    if first & 0x10:
        if start + _EXTENSION.size > length:
            return None
        start += _EXTENSION.size + 4 * _EXTENSION.unpack_from(message, start)[1]
    if first & 0x20:
        padding = message[-1]
        if not padding:
            return None
        end -= padding
    if start > end:
        return None
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, message[start:end])


def sequence_distance(earlier: int, later: int) -> int:
    """How many packets `later` comes after `earlier` (negative: before), across the wrap at 65536."""
    return (later - earlier + 0x8000) % 0x10000 - 0x8000


def timestamp_distance(earlier: int, later: int) -> int:
    """How many ticks `later` comes after `earlier` (negative: before), across the wrap at 2**32."""
    return (later - earlier + 0x80000000) % 0x100000000 - 0x80000000


class TelephoneEvents:
    """Finds the key presses in a stream's packets. The payload type is not announced, so two packets must agree.

    A telephone event is a dynamic payload type with four bytes, a key of 0 to 15 and the reserved bit clear; all its
    packets carry the same timestamp (and there are several: updates, then three with the end bit).
    """

    def __init__(self) -> None:
        self._seen: tuple[int, int] | None = None
        self._reported: int | None = None

    def receive(self, packet: RtpPacket) -> str | None:
        """The key, once for each press. Call it with packets that `is_event` knows."""
        timestamp = packet.timestamp
        if self._reported is not None and timestamp_distance(self._reported, timestamp) <= 0:
            return None
        now = (timestamp, packet.payload[0])
        if now != self._seen:
            self._seen = now
            return None
        self._reported = timestamp
        return _KEYS[packet.payload[0]]

    @staticmethod
    def is_event(packet: RtpPacket) -> bool:
        """Whether the packet has a telephone event's form."""
        if packet.payload_type not in DYNAMIC or len(packet.payload) != _EVENT.size:
            return False
        event, flags, _duration = _EVENT.unpack(packet.payload)
        return event < len(_KEYS) and not flags & _RESERVED_BIT
