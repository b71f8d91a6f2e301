"""The inbound protocol of one media session: WebSocket messages in, events out."""

from callbus.pcm import CALL_RATES, frame_bytes
from streamer.inbound.events import Audio, Event, InboundCounters, Unreadable
from streamer.inbound.recognise import Recognised, Recogniser
from streamer.inbound.rtp import is_rtcp, parse_rtp
from streamer.inbound.rtp_stream import RtpStream
from streamer.inbound.samples import Chunks, LeftChannel
from streamer.inbound.text import AudioPayload, parse_text

MOST_STRANGERS = 10
"""Messages in a row that are not of the RTP stream, before the session is read as bare samples again."""


class InboundDecoder:
    """Reads what a media server sends, whatever of the known forms it is (RINGOVER.md 3.2).

    Binary messages are bare s16le samples (mono, or stereo with the caller on the left) until RTP is recognised in
    them. Events come in the order of the messages. `counters` says what was lost.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        """`sample_rate` 8000 or 16000 Hz, `channels` 1 or 2. Raises ValueError for others."""
        if sample_rate not in CALL_RATES:
            raise ValueError(f"sample rate {sample_rate} Hz: expected one of {', '.join(map(str, CALL_RATES))}")
        if channels not in (1, 2):
            raise ValueError(f"{channels} channels: expected 1 (mono) or 2 (stereo, the caller on the left)")
        self.sample_rate = sample_rate
        self.channels = channels
        self.counters = InboundCounters()
        self._chunk_bytes = frame_bytes(sample_rate)
        self._frame_bytes = self._chunk_bytes * channels
        self._chunks = Chunks(sample_rate)
        self._left = LeftChannel() if channels == 2 else None
        self._recogniser = Recogniser(sample_rate, channels)
        self._rtp: RtpStream | None = None
        self._strangers = 0
        self._straight = channels == 1
        """Mono samples, nothing waiting: a message of one chunk is the next chunk."""

    def is_next_chunk(self, data: bytes) -> bool:
        """Whether a binary message is just the next 20 ms of the caller, so that nothing is left to be read in it."""
        return self._straight and len(data) == self._chunk_bytes

    def receive_binary(self, message: bytes | bytearray | memoryview) -> list[Event]:
        """Read one binary message."""
        data = bytes(message)
        if self.is_next_chunk(data):
            return [Audio(data)]
        events = self._samples_or_rtp(data) if self._rtp is None else self._rtp_message(self._rtp, data)
        self._straight = self._rtp is None and self._left is None and self._chunks.empty and self._recogniser.idle
        return events

    def receive_text(self, text: str) -> list[Event]:
        """Read one text message."""
        parsed = parse_text(text)
        if isinstance(parsed, AudioPayload):
            return self.receive_binary(parsed.data)
        self.counters.unreadable += sum(isinstance(event, Unreadable) for event in parsed)
        return parsed

    def flush(self) -> list[Event]:
        """The session ends: what was held back, in whole chunks."""
        return self._samples(self._recogniser.reset()) if self._rtp is None else self._rtp.flush()

    def _samples_or_rtp(self, data: bytes) -> list[Event]:
        if len(data) % self._frame_bytes == 0:
            return self._samples([data] if self._recogniser.idle else [*self._recogniser.reset(), data])
        samples, recognised = self._recogniser.offer(data)
        events = self._samples(samples) if samples else []
        return events + self._begin(recognised) if recognised else events

    def _samples(self, messages: list[bytes]) -> list[Event]:
        pcm = messages[0] if len(messages) == 1 else b"".join(messages)
        return self._chunks.push(self._left.push(pcm) if self._left else pcm)

    def _begin(self, recognised: Recognised) -> list[Event]:
        self._strangers = 0
        self.counters.rtp_dropped += recognised.others
        self._chunks.drop_half_sample()
        if self._left:
            self._left.clear()
        self._rtp = RtpStream(recognised, self.sample_rate, self.channels, self._chunks, self.counters)
        return [event for packet in recognised.packets for event in self._rtp.receive(packet)]

    def _rtp_message(self, stream: RtpStream, data: bytes) -> list[Event]:
        packet = parse_rtp(data)
        if packet is not None and packet.ssrc == stream.ssrc:
            self.counters.rtp_dropped += len(self._recogniser.reset())
            self._strangers = 0
            return stream.receive(packet)
        if is_rtcp(data):
            return []
        self._strangers += 1
        if self._strangers > MOST_STRANGERS:
            self.counters.rtp_dropped += len(self._recogniser.reset())
            self._rtp = None
            return stream.flush() + self._samples_or_rtp(data)
        others, recognised = self._recogniser.offer(data)
        if packet is None:
            self.counters.rtp_dropped += len(others) - 1
            self.counters.unreadable += 1
            return [Unreadable(f"{len(data)} bytes that are no RTP packet, in a session that speaks RTP")]
        self.counters.rtp_dropped += len(others)
        if recognised is None:
            return []
        self.counters.rtp_resyncs += 1
        return stream.flush() + self._begin(recognised)
