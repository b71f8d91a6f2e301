"""WebSocket messages and requests of any content: no call is lost by them, and nobody comes in without a token."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from callbus import keys
from callbus.g711 import ulaw_decode, ulaw_encode
from streamer.gate import Admission, Gate
from streamer.inbound import Audio, InboundDecoder, Metadata
from streamer.settings import StreamerSettings
from support.media_wire import heard, rtp, voice
from support.streamer_process import FRAME, Streamer

NAMES = "event type call_id callId uuid id from to caller data digit dtmf metadata number uri".split()
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["call_start", "call_end", "audio_data", "dtmf", "sip:33612345678@x", "AAAA", "\ud83d", 10**60])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=6), inner, max_size=6)
    ),
    max_leaves=15,
)
TEXTS = VALUES.map(json.dumps) | st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
HEADERS = st.builds(
    lambda head, payload: bytes(head) + payload,
    st.lists(st.integers(0, 255), min_size=12, max_size=12).map(lambda head: [0x80 | head[0] & 0x3F, *head[1:]]),
    st.binary(max_size=400),
)
PACKETS = st.builds(
    rtp,
    st.integers(0, 40) | st.integers(65500, 65535),
    st.sampled_from([b"", bytes(160), bytes(320), bytes(33)]),
    payload_type=st.sampled_from([0, 8, 13, 97, 101]),
    ssrc=st.sampled_from([1, 2]),
    csrc=st.integers(0, 15),
    extension=st.none() | st.just(bytes(8)),
    padding=st.integers(0, 8),
)
BINARIES = st.binary(max_size=700) | HEADERS | PACKETS | st.just(FRAME)


@settings(deadline=1000, max_examples=100)
@given(st.sampled_from([8000, 16000]), st.sampled_from([1, 2]), st.lists(TEXTS | BINARIES, max_size=30))
def test_any_message_is_read_and_can_be_passed_on(rate: int, channels: int, messages: list[str | bytes]) -> None:
    decoder = InboundDecoder(rate, channels)
    for message in messages:
        found = decoder.receive_text(message) if isinstance(message, str) else decoder.receive_binary(message)
        for event in found:
            if isinstance(event, Audio):
                assert len(event.pcm) == rate // 50 * 2
            elif isinstance(event, Metadata):
                assert json.loads(json.dumps(event.raw)) == event.raw


@pytest.mark.parametrize(
    "text",
    [
        "[" + "[]," * 40_000 + "[]]",
        "[" + ",".join(["[" * 30 + "]" * 30] * 2000) + "]",
        "{" + ",".join(f'"{n}":1' for n in range(10_000)) + "}",
        "[" + ",".join(["9" * 4000] * 30) + "]",
        "[" * 130_000,
        '{"a":' * 20_000 + "1" + "}" * 20_000,
        '{"from":"' + "1 " * 60_000 + '"}',
        '{"from":"' + "tel:" * 30_000 + '"}',
        '{"event":"dtmf","digit":"' + "1" * 120_000 + '"}',
    ],
)
def test_a_large_text_takes_little_time_and_memory(text: str) -> None:
    decoder = InboundDecoder(8000, 1)
    tracemalloc.start()
    began = time.process_time()
    decoder.receive_text(text)
    took = time.process_time() - began
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert took < 0.25
    assert most < 4 << 20


TOKEN_PLACES = st.sampled_from(
    ["", "?token=", "?token=%00", "?TOKEN=x", "/t/", "/t/x/", "/../ws", "?token[]=", "?x=token="]
)


@settings(deadline=None, max_examples=150)
@given(
    target=st.builds("/ws{}{}".format, TOKEN_PLACES, st.text(max_size=30)) | st.text(max_size=40),
    authorization=st.none() | st.builds("{} {}".format, st.sampled_from(["Bearer", "Basic", ""]), st.text(max_size=20)),
)
def test_no_request_without_the_token_is_admitted(target: str, authorization: str | None) -> None:
    secret = "a-token-nobody-guesses"
    gate = Gate(StreamerSettings.model_validate({"streamer_token": secret}))
    verdict = gate.judge(target, authorization, now=0)
    assert not isinstance(verdict, Admission)
    assert secret not in verdict.text


@pytest.fixture(scope="module")
def store(own_redis: str) -> Iterator[Any]:
    # redis-py's types are those of both its clients.
    with redis.Redis.from_url(own_redis) as store:
        yield store


def waiting(store: Any, call_id: str) -> None:
    """The call is handed out to a worker."""
    deadline = time.monotonic() + 5
    while (found := store.hget(keys.call(call_id), "conversation")) != b"waiting":
        assert time.monotonic() < deadline, f"{call_id} is {found!r}"
        time.sleep(0.005)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(messages=st.lists(TEXTS | BINARIES, max_size=12), named=st.booleans())
def test_whatever_a_media_server_sends_the_call_gets_its_worker(
    attacked: Streamer, store: Any, token: str, messages: list[str | bytes], named: bool
) -> None:
    call_id = f"fuzz-{time.time_ns()}"
    with connect(attacked.url(f"/ws/{call_id}?token={token}")) as client:
        if named:
            # Half of a pair of surrogates: a name that was cut in the middle of an emoji.
            client.send(json.dumps({"callId": call_id, "from": "33612345678", "name": "Zo\ud83d"}))
        try:
            for message in messages:
                client.send(message)
        except ConnectionClosed:
            assert any("call_end" in message for message in messages if isinstance(message, str))
        else:
            if not any("call_end" in message for message in messages if isinstance(message, str)):
                waiting(store, call_id)


@pytest.mark.parametrize(
    "metadata", ['{"callId": "half-1", "name": "\\ud83d"}', '{"id": "half-2", "\\udc00": ["\\ud800"]}']
)
def test_half_of_an_emoji_in_the_metadata_loses_no_call(
    attacked: Streamer, store: Any, token: str, metadata: str
) -> None:
    with connect(attacked.url(f"/ws?token={token}")) as client:
        client.send(metadata)
        call_id = next(iter(json.loads(metadata).values()))
        waiting(store, call_id)
        kept = store.hget(keys.call(call_id), "metadata")
        assert call_id in json.loads(kept).values()


def test_a_burst_of_lost_packets_with_others_out_of_order_behind_it() -> None:
    samples = ulaw_encode(voice(8000, 1))
    decoder = InboundDecoder(8000, 1)
    events = [
        event
        for n in (0, 9, 10, 12, 11)
        for event in decoder.receive_binary(rtp(n, samples[n * 160 : (n + 1) * 160], timestamp=n * 160))
    ]
    pcm = ulaw_decode(samples)
    came = [pcm[n * 320 : (n + 1) * 320] if n in (0, 9, 10, 11, 12) else bytes(320) for n in range(13)]
    assert heard([*events, *decoder.flush()]) == b"".join(came)
