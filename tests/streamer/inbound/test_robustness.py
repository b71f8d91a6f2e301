"""Whatever arrives, the decoder neither fails nor grows, and gives whole chunks only."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.inbound import Audio, Event, InboundDecoder
from support.media_wire import rtp

FORMATS = [(8000, 1), (8000, 2), (16000, 1), (16000, 2)]
LARGEST_STATE = 64 * 1024

PACKETS = st.builds(
    rtp,
    st.integers(0, 30) | st.integers(0, 65535),
    st.sampled_from([b"", b"\x05\x0a\x00\xa0", bytes(160), bytes(320), bytes(640), bytes(99), bytes(8000)]),
    payload_type=st.sampled_from([0, 0, 0, 8, 11, 13, 97, 101]),
    timestamp=st.integers(0, 30).map(lambda n: n * 160) | st.integers(0, 2**32 - 1),
    ssrc=st.sampled_from([1, 1, 1, 2]),
    csrc=st.integers(0, 15),
    extension=st.none() | st.just(bytes(8)),
    padding=st.integers(0, 8),
)
MESSAGES = st.binary(max_size=700) | PACKETS | st.binary(max_size=40).map(b"\x80\x00".__add__) | st.just(bytes(320))


def check(events: list[Event], rate: int) -> int:
    sizes = [len(event.pcm) for event in events if isinstance(event, Audio)]
    assert set(sizes) <= {rate // 50 * 2}
    return sum(sizes)


@given(form=st.sampled_from(FORMATS), messages=st.lists(MESSAGES, max_size=60))
def test_any_mixture_of_messages_is_survived(form: tuple[int, int], messages: list[bytes]) -> None:
    rate, channels = form
    decoder = InboundDecoder(rate, channels)
    audio = came = 0
    for message in messages:
        audio += check(decoder.receive_binary(message), rate)
        came += len(message)
        assert len(pickle.dumps(decoder)) < LARGEST_STATE
    audio += check(decoder.flush(), rate)
    # One byte of G.711 is four of 16 kHz samples; a gap of 200 ms may follow each packet.
    assert audio <= 4 * came + len(messages) * rate * 2 // 5


@given(numbers=st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 400)), min_size=1, max_size=60))
def test_a_running_stream_survives_any_sequence_numbers(numbers: list[tuple[int, int]]) -> None:
    decoder = InboundDecoder(16000, 1)
    for n in range(3):
        decoder.receive_binary(rtp(n, bytes(160)))
    for sequence, size in numbers:
        check(decoder.receive_binary(rtp(sequence, bytes(size))), 16000)
        assert len(pickle.dumps(decoder)) < LARGEST_STATE


@pytest.mark.parametrize(("rate", "channels"), FORMATS)
def test_a_long_session_of_noise_does_not_grow(rate: int, channels: int) -> None:
    rng = np.random.default_rng(3)
    decoder = InboundDecoder(rate, channels)
    for _ in range(3000):
        check(decoder.receive_binary(rng.bytes(int(rng.integers(0, 2000)))), rate)
        decoder.receive_text('{"event": "nothing", "data": [1]}')
    assert len(pickle.dumps(decoder)) < LARGEST_STATE
