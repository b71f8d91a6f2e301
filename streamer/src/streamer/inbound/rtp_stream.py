"""One recognised RTP source: its packets in, the caller's audio and key presses out."""

from callbus.g711 import alaw_decode, ulaw_decode
from streamer.inbound.events import Dtmf, Event, InboundCounters, Unreadable
from streamer.inbound.jitter import JitterBuffer
from streamer.inbound.recognise import Codec, Recognised
from streamer.inbound.rtp import COMFORT_NOISE, PCMA, PCMU, RtpPacket, TelephoneEvents
from streamer.inbound.samples import Chunks, every_other_sample, swap_bytes
from streamer.inbound.upsample import Doubler

_G711_RATE = 8000


class RtpStream:
    """Decodes one SSRC into s16le mono at the session's rate.

    G.711 is 8 kHz by definition: in a 16 kHz session it is interpolated, since the session's rate was announced to the
    worker before the first packet came. L16 is read at the session's rate, network byte order, left channel.
    """

    def __init__(
        self, recognised: Recognised, sample_rate: int, channels: int, chunks: Chunks, counters: InboundCounters
    ) -> None:
        first = recognised.packets[0]
        self.ssrc = first.ssrc
        self._codec = recognised.codec
        self._type = first.payload_type
        self._channels = channels
        self._chunks = chunks
        self._counters = counters
        rate = _G711_RATE if self._codec is Codec.G711 else sample_rate
        self._doubler = Doubler() if rate < sample_rate else None
        self._jitter = JitterBuffer(rate, first.sequence, counters)
        self._keys = TelephoneEvents()

    def receive(self, packet: RtpPacket) -> list[Event]:
        """Take one packet of this source."""
        pcm = self._decode(packet)
        if pcm is None:
            # Its place in the sequence is taken all the same: nothing is missing there.
            events = self._heard(self._jitter.push(packet.sequence, b""))
            return [*events, *self._without_audio(packet)]
        return self._heard(self._jitter.push(packet.sequence, pcm))

    def flush(self) -> list[Event]:
        """What still waits for a missing packet."""
        return self._heard(self._jitter.flush())

    def _heard(self, pcm: bytes) -> list[Event]:
        return self._chunks.push(self._doubler.push(pcm) if self._doubler else pcm)

    def _decode(self, packet: RtpPacket) -> bytes | None:
        payload_type, payload = packet.payload_type, packet.payload
        if self._codec is Codec.G711:
            if payload_type == PCMU:
                return ulaw_decode(payload)
            return alaw_decode(payload) if payload_type == PCMA else None
        if self._codec is Codec.L16 and payload_type == self._type:
            samples = swap_bytes(payload[: len(payload) - len(payload) % (2 * self._channels)])
            return samples if self._channels == 1 else every_other_sample(samples)
        return None

    def _without_audio(self, packet: RtpPacket) -> list[Event]:
        if packet.payload_type == COMFORT_NOISE:
            return []
        if TelephoneEvents.is_event(packet):
            key = self._keys.receive(packet)
            return [Dtmf(key)] if key else []
        self._counters.unreadable += 1
        return [
            Unreadable(
                f"RTP payload type {packet.payload_type} with {len(packet.payload)} bytes is not readable: expected "
                f"PCMU (0), PCMA (8) or L16 at the session's rate"
            )
        ]
