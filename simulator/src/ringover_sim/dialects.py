"""What the media server says on its WebSocket, in the three dialects a streamer must understand (RINGOVER.md 3.2).

`pcm`: bare samples as binary messages. `json`: the specification's text messages. `rtp`: RTP packets (RFC 3550) with
G.711 as binary messages. An encoder takes 20 ms of audio at a time and returns the messages that are due.
"""

from __future__ import annotations

import base64
import json
import random
import struct
from dataclasses import dataclass
from typing import Literal, Protocol

from ringover_sim.audio import G711, g711_encode

Dialect = Literal["pcm", "json", "rtp"]
Message = str | bytes
_PAYLOAD_TYPE: dict[G711, int] = {"pcmu": 0, "pcma": 8}
_RTP_VERSION_2 = 0x80
_RTP_MARKER = 0x80


class Encoder(Protocol):
    """One connection's outgoing audio."""

    def opening(self) -> list[Message]:
        """Sent right after the handshake, before any audio."""
        ...

    def audio(self, pcm: bytes) -> list[Message]:
        """The messages due after the next 20 ms (s16le, interleaved when stereo)."""
        ...

    def closing(self) -> list[Message]:
        """What is left, and the dialect's good-bye if it has one."""
        ...


class PcmEncoder:
    """Bare s16le samples, `chunk_bytes` in a message."""

    def __init__(self, chunk_bytes: int) -> None:
        self._chunk = chunk_bytes
        self._buffer = bytearray()

    def opening(self) -> list[Message]:
        """Nothing: this dialect announces nothing."""
        return []

    def audio(self, pcm: bytes) -> list[Message]:
        """As many full chunks as are due."""
        self._buffer += pcm
        due: list[Message] = []
        while len(self._buffer) >= self._chunk:
            due.append(bytes(self._buffer[: self._chunk]))
            del self._buffer[: self._chunk]
        return due

    def closing(self) -> list[Message]:
        """The last, shorter chunk."""
        rest, self._buffer = bytes(self._buffer), bytearray()
        return [rest] if rest else []


class JsonEncoder:
    """The specification's own messages: call_start, audio_data, call_end."""

    def __init__(self, chunk_bytes: int, call_id: str | None, caller: str, called: str) -> None:
        self._pcm = PcmEncoder(chunk_bytes)
        self._call: dict[str, object] = {} if call_id is None else {"call_id": call_id}
        self._numbers = {"from": caller, "to": called}

    def opening(self) -> list[Message]:
        """call_start, with both numbers."""
        return [json.dumps({"event": "call_start", **self._call, **self._numbers})]

    def audio(self, pcm: bytes) -> list[Message]:
        """audio_data, base64."""
        return [self._data(chunk) for chunk in self._pcm.audio(pcm)]

    def closing(self) -> list[Message]:
        """The rest of the audio and call_end."""
        end = json.dumps({"event": "call_end", **self._call})
        return [*(self._data(chunk) for chunk in self._pcm.closing()), end]

    def _data(self, chunk: Message) -> str:
        assert isinstance(chunk, bytes)
        return json.dumps({"event": "audio_data", **self._call, "data": base64.b64encode(chunk).decode()})


@dataclass(frozen=True, slots=True)
class Impairment:
    """What the network does to RTP: shares (0..1) of packets lost, and swapped with their successor."""

    loss: float = 0.0
    reorder: float = 0.0


class RtpEncoder:
    """RTP packets of 20 ms: steady SSRC, sequence and timestamp from a random start, marker on the first."""

    def __init__(self, codec: G711, impairment: Impairment, seed: int) -> None:
        self._random = random.Random(seed)
        self._codec: G711 = codec
        self._impairment = impairment
        self._ssrc = self._random.getrandbits(32)
        self._sequence = self._random.getrandbits(16)
        self._timestamp = self._random.getrandbits(32)
        self._marker = _RTP_MARKER
        self._held: bytes | None = None

    def opening(self) -> list[Message]:
        """Nothing: RTP announces nothing."""
        return []

    def audio(self, pcm: bytes) -> list[Message]:
        """One packet, unless it is lost or held back to come after the next."""
        payload = g711_encode(pcm, self._codec)
        kind = _PAYLOAD_TYPE[self._codec] | self._marker
        packet = struct.pack("!BBHII", _RTP_VERSION_2, kind, self._sequence, self._timestamp, self._ssrc) + payload
        self._marker = 0
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + len(payload)) & 0xFFFFFFFF
        held, self._held = self._held, None
        if self._random.random() < self._impairment.loss:
            return [held] if held else []
        if held is None and self._random.random() < self._impairment.reorder:
            self._held = packet
            return []
        return [packet, held] if held else [packet]

    def closing(self) -> list[Message]:
        """A packet still held back."""
        held, self._held = self._held, None
        return [held] if held else []
