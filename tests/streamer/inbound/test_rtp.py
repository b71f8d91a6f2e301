"""RTP: recognised without losing a sample, put in order, gaps filled, decoded."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callbus.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from streamer.inbound import Dtmf, Event, InboundDecoder, Unreadable
from support.media_wire import SSRC, heard, rtp, telephone_event, voice

ULAW = ulaw_encode(voice(8000, 4))
DECODED = ulaw_decode(ULAW)


def payload(n: int) -> bytes:
    return ULAW[n * 160 : (n + 1) * 160]


def packet(n: int, *, first: int = 100, ssrc: int = SSRC) -> bytes:
    return rtp(first + n, payload(n), timestamp=n * 160, ssrc=ssrc)


def decoded(*numbers: int) -> bytes:
    return b"".join(DECODED[n * 320 : (n + 1) * 320] for n in numbers)


def receive(decoder: InboundDecoder, messages: list[bytes]) -> list[Event]:
    return [event for message in messages for event in decoder.receive_binary(message)]


def test_the_first_packets_wait_for_the_third_and_then_each_passes_at_once() -> None:
    decoder = InboundDecoder(8000, 1)
    assert decoder.receive_binary(packet(0)) == []
    assert decoder.receive_binary(packet(1)) == []
    assert heard(decoder.receive_binary(packet(2))) == decoded(0, 1, 2)
    for n in range(3, 50):
        assert heard(decoder.receive_binary(packet(n))) == decoded(n)


def test_alaw() -> None:
    pcm = voice(8000, 0.2)
    alaw = alaw_encode(pcm)
    messages = [rtp(n, alaw[n * 160 : (n + 1) * 160], payload_type=8, timestamp=n * 160) for n in range(10)]
    assert heard(receive(InboundDecoder(8000, 1), messages)) == alaw_decode(alaw)


@pytest.mark.parametrize("ms", [10, 20, 30, 40, 60])
def test_other_packet_lengths(ms: int) -> None:
    size = 8 * ms
    messages = [rtp(n, ULAW[n * size : (n + 1) * size], timestamp=n * size) for n in range(30)]
    assert heard(receive(InboundDecoder(8000, 1), messages)) == DECODED[: 30 * size * 2 // 320 * 320]


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16000, 1), (8000, 2), (16000, 2)])
def test_l16_on_a_dynamic_type(rate: int, channels: int) -> None:
    mono = np.frombuffer(voice(rate, 0.2), "<i2")
    wire = np.repeat(mono, channels).astype(">i2")
    wire[1::channels] = wire[1::channels] if channels == 1 else -1
    samples = rate // 50
    messages = [
        rtp(n, wire[n * samples * channels :][: samples * channels].tobytes(), payload_type=97, timestamp=n * samples)
        for n in range(10)
    ]
    assert heard(receive(InboundDecoder(rate, channels), messages)) == mono.tobytes()


def test_g711_in_a_stereo_session_is_mono() -> None:
    assert heard(receive(InboundDecoder(8000, 2), [packet(n) for n in range(10)])) == decoded(*range(10))


def test_g711_in_a_16_khz_session_is_interpolated() -> None:
    tone = np.sin(2 * np.pi * 1000 * np.arange(16000) / 16000) * 8000
    companded = ulaw_encode(tone[::2].astype("<i2").tobytes())
    messages = [rtp(n, companded[n * 160 : (n + 1) * 160], timestamp=n * 160) for n in range(50)]
    pcm = heard(receive(InboundDecoder(16000, 1), messages))
    assert len(pcm) == 32000
    got, delay = np.frombuffer(pcm, "<i2").astype(float), 16
    noise = got[delay + 64 :] - tone[64 : len(tone) - delay]
    assert 10 * np.log10(np.mean(tone**2) / np.mean(noise**2)) > 35
    spectrum = np.abs(np.fft.rfft(got[1600:9600] * np.hanning(8000)))
    image, signal = spectrum[3400:3600].max(), spectrum[400:600].max()
    assert image < signal / 1000


def test_contributing_sources_extension_and_padding_are_no_audio() -> None:
    messages = [
        rtp(n, payload(n), csrc=n % 3, extension=bytes(4 * (n % 4)) if n % 2 else None, padding=n % 5)
        for n in range(20)
    ]
    assert heard(receive(InboundDecoder(8000, 1), messages)) == decoded(*range(20))


def test_the_sequence_wraps() -> None:
    decoder = InboundDecoder(8000, 1)
    messages = [packet(n, first=65530) for n in range(20)]
    assert heard(receive(decoder, messages)) == decoded(*range(20))
    assert decoder.counters.rtp_resyncs == 0


@st.composite
def bad_networks(draw: st.DrawFn) -> tuple[int, list[int], list[int]]:
    """(first sequence number, the packets that arrive in order of arrival, how many copies of each)."""
    count = draw(st.integers(3, 40))
    lost = draw(st.sets(st.integers(0, count - 1), max_size=8))
    there = [n for n in range(count) if n not in lost]
    delays = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    arrival = sorted(there, key=lambda n: (n + delays[n], n))
    copies = draw(st.lists(st.integers(1, 2), min_size=count, max_size=count))
    return draw(st.integers(0, 65535)), arrival, copies


@given(network=bad_networks().filter(lambda network: len(network[1]) >= 3))
def test_reordered_lost_and_repeated_packets(network: tuple[int, list[int], list[int]]) -> None:
    first, arrival, copies = network
    decoder = InboundDecoder(8000, 1)
    messages = [packet(n, first=first) for n in arrival for _ in range(copies[n])]
    events = [*receive(decoder, messages), *decoder.flush()]
    came = set(arrival)
    expected = [decoded(n) if n in came else bytes(320) for n in range(min(came), max(came) + 1)]
    assert heard(events) == b"".join(expected)
    assert decoder.counters.rtp_concealed == max(came) + 1 - min(came) - len(came)
    assert decoder.counters.rtp_dropped == len(messages) - len(came)
    assert decoder.counters.rtp_resyncs == 0


def test_odd_packet_lengths_are_believed_later() -> None:
    decoder = InboundDecoder(8000, 1)
    messages = [rtp(n, ULAW[n * 164 : (n + 1) * 164]) for n in range(40)]
    receive(decoder, messages[:9])
    pcm = heard(receive(decoder, messages[9:]))
    assert pcm[320:] in DECODED[9 * 328 : 40 * 328]
    assert len(pcm) >= 30 * 320


def test_a_lost_packet_is_silence_once_three_later_ones_have_come() -> None:
    decoder = InboundDecoder(8000, 1)
    receive(decoder, [packet(n) for n in range(5)])
    assert receive(decoder, [packet(6), packet(7)]) == []
    assert heard(decoder.receive_binary(packet(8))) == bytes(320) + decoded(6, 7, 8)
    assert decoder.receive_binary(packet(5)) == []
    assert (decoder.counters.rtp_concealed, decoder.counters.rtp_dropped) == (1, 1)


@pytest.mark.parametrize("jump", [40, 5000, -60, -5000])
def test_a_large_jump_goes_on_without_silence(jump: int) -> None:
    decoder = InboundDecoder(8000, 1)
    receive(decoder, [packet(n) for n in range(5)])
    after = [packet(n, first=100 + jump) for n in range(5, 10)]
    assert heard(receive(decoder, after)) == decoded(5, 6, 7, 8, 9)
    assert (decoder.counters.rtp_resyncs, decoder.counters.rtp_concealed) == (1, 0)


def test_a_new_source_takes_over_without_loss() -> None:
    decoder = InboundDecoder(8000, 1)
    receive(decoder, [packet(n) for n in range(5)])
    assert heard(receive(decoder, [packet(n, first=9000, ssrc=5) for n in range(5, 10)])) == decoded(5, 6, 7, 8, 9)
    assert decoder.counters.rtp_resyncs == 1


def test_a_second_source_beside_the_first_is_not_mixed_in() -> None:
    decoder = InboundDecoder(8000, 1)
    both = [message for n in range(50) for message in (packet(n), packet(n, first=9000, ssrc=5))]
    assert heard(receive(decoder, both)) == decoded(*range(50))
    assert decoder.counters.rtp_dropped == 49


def test_the_rest_of_samples_before_rtp_does_not_shift_its_bytes() -> None:
    decoder = InboundDecoder(8000, 1)
    assert decoder.receive_binary(b"\x01") == []
    assert heard(receive(decoder, [packet(n) for n in range(5)])) == decoded(*range(5))


def test_rtcp_is_passed_over() -> None:
    decoder = InboundDecoder(8000, 1)
    receive(decoder, [packet(n) for n in range(3)])
    sender_report = b"\x80\xc8\x00\x06" + bytes(24)
    assert decoder.receive_binary(sender_report) == []
    assert decoder.counters.unreadable == 0


def test_what_is_no_packet_is_unreadable_and_many_of_them_are_samples_again() -> None:
    decoder = InboundDecoder(8000, 1)
    receive(decoder, [packet(n) for n in range(3)])
    pcm = voice(8000, 0.4)
    first, *others = [decoder.receive_binary(pcm[n * 320 : (n + 1) * 320]) for n in range(20)]
    assert [type(event) for event in first] == [Unreadable]
    assert heard(event for events in others for event in events) == pcm[3200:]
    assert decoder.counters.unreadable + decoder.counters.rtp_dropped == 10


@pytest.mark.parametrize("sizes", [[41, 45, 38, 50], [160], [160, 161]], ids=["variable", "like 10 ms of L16", "both"])
def test_a_codec_we_cannot_read_is_refused_not_played(sizes: list[int]) -> None:
    decoder = InboundDecoder(8000, 1)
    rng = np.random.default_rng(1)
    opus = [rtp(n, rng.bytes(sizes[n % len(sizes)]), payload_type=111, timestamp=n * 960) for n in range(100)]
    receive(decoder, opus[:12])
    events = receive(decoder, opus[12:])
    assert {type(event) for event in events} == {Unreadable}
    assert "payload type 111" in str(events[0])
    assert decoder.counters.unreadable >= 89


def test_comfort_noise_and_other_types_take_their_place_without_silence() -> None:
    decoder = InboundDecoder(8000, 1)
    messages = [packet(n) for n in range(3)]
    messages += [rtp(103, b"\x40", payload_type=13, timestamp=480), rtp(104, bytes(33), payload_type=3)]
    messages += [packet(n) for n in range(5, 8)]
    events = receive(decoder, messages)
    assert heard(events) == decoded(0, 1, 2, 5, 6, 7)
    assert [type(event) for event in events if not heard([event])] == [Unreadable]
    assert decoder.counters.rtp_concealed == 0


def keys(events: list[Event]) -> str:
    return "".join(event.digit for event in events if isinstance(event, Dtmf))


def press(key: int, first: int, timestamp: int) -> list[bytes]:
    updates = [telephone_event(first + n, key, timestamp, duration=160 * (n + 1)) for n in range(4)]
    return updates + [telephone_event(first + 4 + n, key, timestamp, duration=800, end=True) for n in range(3)]


def test_telephone_events_are_keys_once_each() -> None:
    decoder = InboundDecoder(8000, 1)
    events = receive(decoder, [packet(n) for n in range(3)])
    for count, key in enumerate([0, 9, 10, 11, 12, 15, 5, 5]):
        events += receive(decoder, press(key, 103 + 7 * count, 480 + 1120 * count))
    events += receive(decoder, [packet(n, first=100 + 56) for n in range(3, 6)])
    assert keys(events) == "09*#AD55"
    assert heard(events) == decoded(*range(6))
    assert decoder.counters.unreadable == 0


def test_telephone_events_survive_loss_and_repetition() -> None:
    decoder = InboundDecoder(8000, 1)
    receive(decoder, [packet(n) for n in range(3)])
    first, second = press(1, 103, 480), press(2, 110, 1600)
    arrival = [first[0], first[0], first[6], second[5], first[5], second[6], second[4]]
    assert keys(receive(decoder, arrival)) == "12"


def test_a_single_packet_like_a_telephone_event_is_not_a_key() -> None:
    decoder = InboundDecoder(8000, 1)
    receive(decoder, [packet(n) for n in range(3)])
    assert keys(receive(decoder, [telephone_event(103, 5, 480), packet(4), packet(5)])) == ""
