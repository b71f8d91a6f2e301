"""Bare samples: however the stream is sliced into messages, the same audio comes out, at once."""

import itertools
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.inbound import Audio, Event, InboundDecoder
from support.media_wire import heard, voice

FORMATS = [(8000, 1), (8000, 2), (16000, 1), (16000, 2)]


def left(pcm: bytes, channels: int) -> bytes:
    return bytes(np.frombuffer(pcm, "<i2")[::channels].tobytes())


def interleave(mono: bytes, other: bytes) -> bytes:
    return bytes(np.column_stack([np.frombuffer(mono, "<i2"), np.frombuffer(other, "<i2")]).tobytes())


def receive(decoder: InboundDecoder, messages: list[bytes]) -> list[Event]:
    return [event for message in messages for event in decoder.receive_binary(message)]


def sliced(stream: bytes, sizes: list[int]) -> list[bytes]:
    messages = []
    for size in sizes:
        messages.append(stream[:size])
        stream = stream[size:]
    return [*messages, stream]


@given(
    form=st.sampled_from(FORMATS),
    seed=st.integers(0, 1000),
    sizes=st.lists(st.integers(0, 1500) | st.sampled_from([92, 172, 320, 321, 332, 640, 1600]), max_size=20),
)
def test_slicing_does_not_matter(form: tuple[int, int], seed: int, sizes: list[int]) -> None:
    rate, channels = form
    stream = np.random.default_rng(seed).integers(-300, 300, 10 * rate // 50 * channels, dtype="<i2").tobytes()
    decoder = InboundDecoder(rate, channels)
    events = [*receive(decoder, sliced(stream, sizes)), *decoder.flush()]
    assert heard(events) == left(stream, channels)
    assert {len(event.pcm) for event in events if isinstance(event, Audio)} == {rate // 50 * 2}


@given(stream=st.binary(max_size=4000), cuts=st.lists(st.integers(0, 4000), max_size=30), form=st.sampled_from(FORMATS))
def test_any_bytes_come_out_in_whole_chunks_and_the_rest_waits(
    stream: bytes, cuts: list[int], form: tuple[int, int]
) -> None:
    rate, channels = form
    ends = sorted({0, *(min(cut, len(stream)) for cut in cuts), len(stream)})
    decoder = InboundDecoder(rate, channels)
    events = receive(decoder, [stream[a:b] for a, b in itertools.pairwise(ends)])
    whole = left(stream[: len(stream) - len(stream) % (2 * channels)], channels)
    got = heard([*events, *decoder.flush()])
    assert got == whole[: len(got)]
    assert len(whole) - len(got) < rate // 50 * 2


@pytest.mark.parametrize(("rate", "channels"), FORMATS)
def test_each_20_ms_message_is_passed_at_once(rate: int, channels: int) -> None:
    mono = voice(rate, 3)
    wire = mono if channels == 1 else interleave(mono, voice(rate, 3, seed=8))
    size, chunk = rate // 50 * 2 * channels, rate // 50 * 2
    decoder = InboundDecoder(rate, channels)
    for n in range(150):
        events = decoder.receive_binary(wire[n * size : (n + 1) * size])
        assert events == [Audio(mono[n * chunk : (n + 1) * chunk])]


def test_an_odd_byte_waits_for_its_other_half() -> None:
    decoder = InboundDecoder(8000, 1)
    pcm = voice(8000, 0.1)
    assert decoder.receive_binary(pcm[:321]) == [Audio(pcm[:320])]
    assert decoder.receive_binary(pcm[321:640]) == [Audio(pcm[320:640])]
    assert decoder.receive_binary(pcm[640:960]) == [Audio(pcm[640:960])]


def test_a_buffered_message_is_cut_into_chunks() -> None:
    pcm = voice(8000, 0.1)
    assert [len(event.pcm) for event in InboundDecoder(8000, 1).receive_binary(pcm) if isinstance(event, Audio)] == [
        320
    ] * 5


def test_a_mutable_buffer_is_copied() -> None:
    decoder = InboundDecoder(8000, 1)
    buffer = bytearray(voice(8000, 0.02))
    (event,) = decoder.receive_binary(buffer)
    assert isinstance(event, Audio)
    assert type(event.pcm) is bytes
    assert decoder.receive_binary(memoryview(buffer)) == [event]


@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (0, 1), (8000, 0), (8000, 3)])
def test_other_formats_are_refused(rate: int, channels: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        InboundDecoder(rate, channels)


def header(sequence: int, ssrc: int, timestamp: int = 0, payload_type: int = 0) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type, sequence % 65536, timestamp, ssrc)


LOOKALIKES = {
    "zeros": [bytes(320)] * 20,
    "zeros the size of a packet": [bytes(172)] * 20,
    "0x80 bytes": [b"\x80" * 320] * 20,
    "0x80 bytes the size of a packet": [b"\x80" * 172] * 20,
    "0x80 0x00 samples": [b"\x80\x00" * 86] * 20,
    "source changes": [header(n, n) + bytes(160) for n in range(20)],
    "sequence stands still": [header(7, 1) + bytes([n]) * 160 for n in range(20)],
    "sequence jumps": [header(n * 1000, 1) + bytes([n]) * 160 for n in range(20)],
    "whole chunks that count up": [header(n, 1) + bytes([n]) * 308 for n in range(20)],
    "two whole chunks that count up": [header(n, 1) + bytes([n]) * 628 for n in range(20)],
    "two packets now and then": [
        message for n in range(10) for message in (header(n, n) + bytes(160), header(n + 1, n) + bytes(160), bytes(320))
    ],
    "dynamic type, timestamps of another clock": [header(n, 1, n * 960, 111) + bytes([n]) * 320 for n in range(9)],
}


@pytest.mark.parametrize("messages", LOOKALIKES.values(), ids=LOOKALIKES.keys())
def test_samples_that_look_like_rtp_stay_samples(messages: list[bytes]) -> None:
    decoder = InboundDecoder(8000, 1)
    came = 0
    events: list[Event] = []
    for n, message in enumerate(messages):
        events += decoder.receive_binary(message)
        came += len(message)
        waiting = came - len(heard(events))
        assert waiting < 320 + sum(map(len, messages[max(0, n - 3) : n + 1]))
    stream = b"".join(messages)
    assert heard([*events, *decoder.flush()]) == stream[: len(stream) // 320 * 320]
    assert decoder.counters == InboundDecoder(8000, 1).counters


@pytest.mark.parametrize("size", [160, 172, 320, 332, 640, 652, 1600])
@pytest.mark.parametrize("level", [0.0, 30.0, 3000.0])
def test_speech_is_not_mistaken_whatever_the_message_size(size: int, level: float) -> None:
    pcm = voice(8000, 20, level=level)
    decoder = InboundDecoder(8000, 1)
    events = receive(decoder, [pcm[start : start + size] for start in range(0, len(pcm), size)])
    assert heard([*events, *decoder.flush()]) == pcm
