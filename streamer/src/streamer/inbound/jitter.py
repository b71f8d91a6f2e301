"""Puts one RTP stream's packets back in order, and silence in place of those that were lost.

There is no clock in it: packets in order pass at once, and one that is missing is waited for until enough later ones
have come.
"""

from streamer.inbound.events import InboundCounters
from streamer.inbound.rtp import sequence_distance

REORDER_WINDOW = 3
"""Later packets that may come before a missing one is given up: 60 ms at 20 ms each."""
MOST_LATE = 50
"""A packet further behind than this is no late one: its sender has started anew."""
MOST_SILENCE_MS = 200
"""A gap longer than this is not filled: the stream goes on after it."""


class JitterBuffer:
    """Packets' audio (s16le mono at `sample_rate`) in, in any order; audio in order out, from `first_sequence` on."""

    def __init__(self, sample_rate: int, first_sequence: int, counters: InboundCounters) -> None:
        self._most_silence = sample_rate * MOST_SILENCE_MS // 1000 * 2
        self._counters = counters
        self._expected = first_sequence
        self._early: dict[int, bytes] = {}
        self._packet_bytes = 0

    def push(self, sequence: int, pcm: bytes) -> bytes:
        """Take a packet (`pcm` may be empty: a packet that carries no audio) and give what can be heard now."""
        if pcm:
            self._packet_bytes = len(pcm)
        ahead = sequence_distance(self._expected, sequence)
        if ahead == 0:
            self._early[sequence] = pcm
            return self._in_order()
        if -MOST_LATE <= ahead < 0 or sequence in self._early:
            self._counters.rtp_dropped += 1
            return b""
        # Only what is missing right before it counts: others may be here already, and wait for one before them.
        before = max((sequence_distance(self._expected, early) + 1 for early in self._early), default=0)
        if ahead < 0 or (ahead - before) * self._packet_bytes > self._most_silence:
            audio = self.flush()
            self._counters.rtp_resyncs += 1
            self._expected = (sequence + 1) % 0x10000
            return audio + pcm
        self._early[sequence] = pcm
        return self._skip() if len(self._early) >= REORDER_WINDOW else b""

    def flush(self) -> bytes:
        """What still waits for a missing packet, without it."""
        audio = b""
        while self._early:
            audio += self._skip()
        return audio

    def _skip(self) -> bytes:
        missing, self._expected = min((sequence_distance(self._expected, early), early) for early in self._early)
        self._counters.rtp_concealed += missing
        return bytes(missing * self._packet_bytes) + self._in_order()

    def _in_order(self) -> bytes:
        parts = []
        while self._expected in self._early:
            parts.append(self._early.pop(self._expected))
            self._expected = (self._expected + 1) % 0x10000
        return b"".join(parts)
