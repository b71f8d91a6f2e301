"""Tells RTP packets from bare samples: a few consecutive packets must agree before anything is taken for RTP."""

from enum import Enum
from typing import NamedTuple

from streamer.inbound.rtp import (
    DYNAMIC,
    PCMA,
    PCMU,
    RtpPacket,
    parse_rtp,
    sequence_distance,
    timestamp_distance,
)

PACKETS_TO_BELIEVE = 3
"""Packets of a codec we can read, of the same source, in sequence. At 20 ms each, 40 ms of audio wait for the third."""
PACKETS_TO_DISBELIEVE = 10
"""Before a stream of a codec we can't read is refused, rather than heard as noise."""
_MOST_HELD = 4
"""Enough for three packets of one source, each sent twice or beside those of another source."""
_MOST_SOURCES = 2
_NEAR = 16
"""How far apart in sequence two packets of one stream may be."""
_LONGEST_PAYLOAD_MS = 200
_G711_10MS = 80


class Codec(Enum):
    """How the payload of a stream is read."""

    G711 = "G.711 µ-law (0) or A-law (8)"
    L16 = "16-bit samples in network byte order"
    UNKNOWN = "not one we can read"


class Recognised(NamedTuple):
    """A stream of RTP: its codec, the packets that gave it away, in sequence, and how many of another source came."""

    codec: Codec
    packets: list[RtpPacket]
    others: int = 0


class Recogniser:
    """Watches messages for RTP. Those that could be its beginning are held, at most four of them.

    Bare samples are safe from it by three properties: whole 20 ms chunks are never offered to it; a message is held
    only if its payload would be a whole number of 10 ms; and of the samples that would be the header, 40 bits must stay
    the same from message to message while 16 others count up.

    L16 has no payload type of its own at 8 and 16 kHz. A dynamic type is taken for L16 at the session's rate and
    channels if its size is a whole number of 10 ms of that and its timestamps advance by just the samples it carries.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        self._l16_frame = 2 * channels
        self._l16_10ms = sample_rate // 100 * self._l16_frame
        self._held: list[tuple[bytes, RtpPacket]] = []
        self._odd: RtpPacket | None = None
        self._odd_sequences: set[int] = set()

    @property
    def idle(self) -> bool:
        """Nothing is held, nothing suspected."""
        return not self._held and self._odd is None

    def reset(self) -> list[bytes]:
        """Suspect nothing any more. Returns the messages that were held: they are no RTP."""
        self._odd, self._odd_sequences = None, set()
        held = [message for message, _ in self._held]
        self._held = []
        return held

    def offer(self, message: bytes) -> tuple[list[bytes], Recognised | None]:
        """Look at one message. Returns those that are no RTP, in order, and a stream if this message completed one."""
        packet = parse_rtp(message)
        if packet is None:
            return [*self.reset(), message], None
        if self._odd is not None and _follows(self._odd, packet):
            return self._count_odd(message, packet, [])
        last = next((held for _, held in reversed(self._held) if held.ssrc == packet.ssrc), None)
        if last is None:
            one_more = len({held.ssrc for _, held in self._held}) < _MOST_SOURCES
            released = [] if one_more and self._odd is None else self.reset()
        else:
            released = [] if _follows(last, packet) else self.reset()
        other_clock = last is not None and not released and not self._advances_like_samples(last, packet)
        if other_clock or not self._readable_size(packet):
            return self._count_odd(message, packet, [*released, *self.reset()])
        return self._hold(message, packet, released)

    def _hold(self, message: bytes, packet: RtpPacket, released: list[bytes]) -> tuple[list[bytes], Recognised | None]:
        self._held.append((message, packet))
        source = [held for _, held in self._held if held.ssrc == packet.ssrc]
        if len({held.sequence for held in source}) == PACKETS_TO_BELIEVE:
            others = len(self.reset()) - len(source)
            source.sort(key=lambda held: sequence_distance(packet.sequence, held.sequence))
            return released, Recognised(Codec.L16 if packet.payload_type in DYNAMIC else Codec.G711, source, others)
        if len(self._held) > _MOST_HELD:
            released += self.reset()
        return released, None

    def _count_odd(
        self, message: bytes, packet: RtpPacket, released: list[bytes]
    ) -> tuple[list[bytes], Recognised | None]:
        self._odd = packet
        self._odd_sequences.add(packet.sequence)
        if len(self._odd_sequences) < PACKETS_TO_DISBELIEVE:
            return [*released, message], None
        self.reset()
        codec = Codec.G711 if packet.payload_type in (PCMU, PCMA) else Codec.UNKNOWN
        return released, Recognised(codec, [packet])

    def _advances_like_samples(self, last: RtpPacket, packet: RtpPacket) -> bool:
        if packet.payload_type not in DYNAMIC:
            return True
        ticks = timestamp_distance(last.timestamp, packet.timestamp)
        packets = sequence_distance(last.sequence, packet.sequence)
        return ticks * self._l16_frame == packets * len(packet.payload)

    def _readable_size(self, packet: RtpPacket) -> bool:
        if packet.payload_type in (PCMU, PCMA):
            ten_ms = _G711_10MS
        elif packet.payload_type in DYNAMIC:
            ten_ms = self._l16_10ms
        else:
            return False
        size = len(packet.payload)
        return 0 < size <= ten_ms * _LONGEST_PAYLOAD_MS // 10 and size % ten_ms == 0


def _follows(last: RtpPacket, packet: RtpPacket) -> bool:
    return (
        packet.ssrc == last.ssrc
        and packet.payload_type == last.payload_type
        and abs(sequence_distance(last.sequence, packet.sequence)) <= _NEAR
    )
