"""The media server's outgoing messages, read back by hand; and its codec against the formula of G.711."""

from __future__ import annotations

import base64
import json
import struct
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringover_sim.audio import G711, g711_decode, g711_encode
from ringover_sim.dialects import Impairment, JsonEncoder, PcmEncoder, RtpEncoder
from ringover_sim.errors import StreamerError
from ringover_sim.media import metadata, target
from ringover_sim.script import Media
from ringover_sim.webhooks import Parties

PARTIES = Parties("abc/1", "33612345678", "33184800000")


def mulaw(byte: int) -> int:
    """ITU-T G.711, table 2b: one byte to a 16-bit sample."""
    value = ~byte & 0xFF
    magnitude = (((value & 0x0F) << 3) + 0x84 << ((value & 0x70) >> 4)) - 0x84
    return -magnitude if value & 0x80 else magnitude


def test_the_codec_is_g711() -> None:
    decoded = np.frombuffer(g711_decode(bytes(range(256)), "pcmu"), "<i2").tolist()
    assert decoded == [mulaw(byte) for byte in range(256)]


@pytest.mark.parametrize("codec", ["pcmu", "pcma"])
def test_encoding_picks_the_nearest_level(codec: G711) -> None:
    samples = np.arange(-32000, 32000, 37, dtype="<i2")
    back = np.frombuffer(g711_decode(g711_encode(samples.tobytes(), codec), codec), "<i2").astype(int)
    assert (np.abs(back - samples) <= np.maximum(np.abs(samples.astype(int)) / 16, 16)).all()


@given(st.integers(1, 10), st.lists(st.binary(min_size=2, max_size=320), max_size=20))
def test_chunks_carry_every_byte_in_order(frames: int, blocks: list[bytes]) -> None:
    encoder = PcmEncoder(320 * frames)
    messages = [message for block in blocks for message in encoder.audio(block)]
    assert all(len(message) == 320 * frames for message in messages)
    whole = b"".join(m for m in [*messages, *encoder.closing()] if isinstance(m, bytes))
    assert whole == b"".join(blocks)


def test_json_is_the_specifications_call() -> None:
    encoder = JsonEncoder(320, "abc-1", "33612345678", "33184800000")
    sent = [*encoder.opening(), *encoder.audio(b"\1\0" * 160), *encoder.audio(b"\2\0" * 10), *encoder.closing()]
    documents = [json.loads(message) for message in sent]
    assert [d["event"] for d in documents] == ["call_start", "audio_data", "audio_data", "call_end"]
    assert {d["call_id"] for d in documents} == {"abc-1"}
    assert base64.b64decode(documents[1]["data"]) == b"\1\0" * 160
    assert base64.b64decode(documents[2]["data"]) == b"\2\0" * 10


def packets(encoder: RtpEncoder, count: int) -> list[tuple[int, int, int, int, bytes]]:
    """(payload type with marker, sequence, timestamp, SSRC, payload) of each packet sent."""
    messages = [m for i in range(count) for m in encoder.audio(np.full(160, 100 * (i % 256), "<i2").tobytes())]
    result = []
    for message in [*messages, *encoder.closing()]:
        assert isinstance(message, bytes)
        version, kind, sequence, timestamp, ssrc = struct.unpack("!BBHII", message[:12])
        assert version == 0x80
        result.append((kind, sequence, timestamp, ssrc, message[12:]))
    return result


def test_rtp_packets_are_in_order_with_one_source() -> None:
    sent = packets(RtpEncoder("pcmu", Impairment(), seed=1), 50)
    assert [p[0] for p in sent] == [0x80] + [0] * 49
    assert [(p[1] - sent[0][1]) % 65536 for p in sent] == list(range(50))
    assert [(p[2] - sent[0][2]) % 2**32 for p in sent] == [160 * i for i in range(50)]
    assert len({p[3] for p in sent}) == 1
    assert {len(p[4]) for p in sent} == {160}
    assert abs(mulaw(sent[20][4][0]) - 2000) < 100


def test_rtp_sequence_and_timestamp_wrap() -> None:
    encoder = RtpEncoder("pcma", Impairment(), seed=1)
    encoder._sequence, encoder._timestamp = 65535, 2**32 - 160
    assert [p[1:3] for p in packets(encoder, 2)] == [(65535, 2**32 - 160), (0, 0)]


def test_rtp_impairments_lose_and_swap_but_never_double() -> None:
    sent = [p[1] for p in packets(RtpEncoder("pcmu", Impairment(loss=0.1, reorder=0.2), seed=3), 500)]
    assert len(set(sent)) == len(sent)
    assert 400 < len(sent) < 490
    swaps = sum(later < earlier for earlier, later in pairwise(sent))
    assert 40 < swaps < 140
    kept = [p[1] for p in packets(RtpEncoder("pcmu", Impairment(reorder=0.3), seed=3), 500)]
    assert len(kept) == 500


@pytest.mark.parametrize(
    ("media", "url"),
    [
        (Media(), "ws://h:1/ws?token=s%26cret"),
        (Media(call_id_in="path", token_in="none"), "ws://h:1/ws/abc%2F1"),
        (Media(call_id_in="query", token_in="header"), "ws://h:1/ws?call_id=abc%2F1"),
        (Media(sample_rate=16000, channels=2, token_in="none"), "ws://h:1/ws?sample_rate=16000&channels=2"),
        (Media(sample_rate=16000, announce=False, token_in="none"), "ws://h:1/ws"),
    ],
)
def test_the_url_says_what_the_script_wants(media: Media, url: str) -> None:
    where = target("ws://h:1", media, PARTIES.call_id, "s&cret")
    assert where.url == url
    assert where.headers == ({"Authorization": "Bearer s&cret"} if media.token_in == "header" else {})


def test_metadata_names_the_call_only_where_asked() -> None:
    numbers = {"from": "33612345678", "to": "33184800000"}
    assert json.loads(metadata(Media(), PARTIES)) == {"callId": "abc/1", **numbers}
    assert json.loads(metadata(Media(call_id_in="nowhere"), PARTIES)) == numbers


def test_an_http_url_is_no_streamer() -> None:
    with pytest.raises(StreamerError, match="ws://host:port"):
        target("http://h:1", Media(), "c", None)
