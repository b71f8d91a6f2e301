"""Who may come in: the gate by itself, and the real process on its port."""

from __future__ import annotations

import asyncio
import base64
import json
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from callbus.broker import Broker
from callbus.media import MediaEnded
from streamer.gate import Admission, Gate, Refusal
from streamer.settings import StreamerSettings
from support.streamer_process import FRAME, Streamer, Worker, raw_request
from support.waiting import until

TOKEN = "a-secret-token"
CLOSE_1000 = b"\x88\x82\0\0\0\0\x03\xe8"
KEY = base64.b64encode(b"0123456789abcdef").decode()


def gate(token: str | None = TOKEN) -> Gate:
    return Gate(StreamerSettings.model_validate({"streamer_token": token}))


@pytest.mark.parametrize(
    ("target", "authorization"),
    [
        (f"/ws?token={TOKEN}", None),
        ("/ws", f"Bearer {TOKEN}"),
        ("/ws", f"bearer  {TOKEN} "),
        ("/ws", TOKEN),
        (f"/ws/t/{TOKEN}", None),
        (f"/ws/t/{TOKEN}/", None),
        (f"/ws?token=wrong&token={TOKEN}", "Bearer wrong"),
    ],
)
def test_the_token_may_be_anywhere(target: str, authorization: str | None) -> None:
    assert gate().judge(target, authorization, now=0) == Admission(None, 8000, 1)


@pytest.mark.parametrize(
    ("target", "authorization"),
    [
        ("/ws", None),
        ("/ws/call-1", None),
        ("/ws?token=", None),
        (f"/ws?token={TOKEN[:-1]}", None),
        ("/ws/t/wrong/call-1", None),
        ("/ws", "Bearer"),
        ("/ws?token=%ff%fe", "Basic \xe9\xe8"),
    ],
)
def test_without_the_token_nobody_comes_in(target: str, authorization: str | None) -> None:
    verdict = gate().judge(target, authorization, now=0)
    assert isinstance(verdict, Refusal)
    assert verdict.status == 401
    assert TOKEN not in verdict.text


@pytest.mark.parametrize(
    ("target", "call_id"),
    [
        ("/ws/call-1", "call-1"),
        ("/ws/call-1/", "call-1"),
        ("/ws/33%3A1", "33:1"),
        ("/ws/t/any/call-1", "call-1"),
        ("/ws?call_id=c1", "c1"),
        ("/ws?callId=c1", "c1"),
        ("/ws?call_uuid=c1", "c1"),
        ("/ws?uuid=c1", "c1"),
        ("/ws?id=c1", "c1"),
        ("/ws/path?id=query", "path"),
        ("/ws/", None),
        ("/ws", None),
    ],
)
def test_the_call_id_may_be_in_path_or_query(target: str, call_id: str | None) -> None:
    assert gate(None).judge(target, None, now=0) == Admission(call_id, 8000, 1)


def test_rate_and_channels_of_the_query_stand_before_the_settings() -> None:
    assert gate(None).judge("/ws?sample_rate=16000&channels=2", None, now=0) == Admission(None, 16000, 2)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/ws/..", 400),
        ("/ws/-x", 400),
        ("/ws/a%20b", 400),
        ("/ws/" + "x" * 200, 400),
        ("/ws?sample_rate=44100", 400),
        ("/ws?sample_rate=x", 400),
        ("/ws?channels=3", 400),
        ("//[", 400),
        ("/ws/a/b", 404),
        ("/", 404),
        ("", 404),
        ("/wsx", 404),
        ("/api/ws", 404),
    ],
)
def test_what_is_wrong_is_refused_with_a_reason(target: str, status: int) -> None:
    verdict = gate(None).judge(target, None, now=0)
    assert isinstance(verdict, Refusal)
    assert verdict.status == status
    assert len(verdict.text) > 10


def upgrade(path: str, *lines: str) -> str:
    """A handshake as a media server's own client writes it."""
    head = [
        f"GET {path} HTTP/1.1",
        "Host:127.0.0.1",
        "Upgrade:websocket",
        "Connection:Upgrade",
        f"Sec-WebSocket-Key:{KEY}",
        "Sec-WebSocket-Version:13",
    ]
    return "\r\n".join([*head, *lines, "", ""])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ws", 401),
        ("/ws/c?token=no", 401),
        (f"/ws/../x?token={TOKEN}", 404),
        (f"/ws/-?token={TOKEN}", 400),
        ("/", 404),
    ],
)
async def test_refusals_on_the_wire(running: Streamer, path: str, status: int) -> None:
    assert (await raw_request(running.port, upgrade(path)))[0] == status


async def test_odd_headers_and_compression_offers_are_taken(running: Streamer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    odd = upgrade(
        "/ws/odd-headers",
        f"Authorization:{TOKEN}",
        "Origin:http://media.example",
        "Sec-WebSocket-Extensions:permessage-deflate; client_max_window_bits",
    )
    before = time.monotonic()
    writer.write(odd.encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    took = time.monotonic() - before
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert b"permessage-deflate" not in answer
    assert took < 0.5
    writer.write(CLOSE_1000)
    assert (await reader.read())[0] == 0x88, "the close is answered"
    writer.close()
    await writer.wait_closed()


async def test_health_ready_and_metrics_share_the_port(running: Streamer) -> None:
    status, body = await running.get("/health")
    assert status == 200
    assert json.loads(body)["status"] == "ok"
    status, body = await running.get("/ready")
    assert (status, json.loads(body)) == (200, {"ready": True, "redis": True, "draining": False})
    status, body = await running.get("/metrics")
    assert status == 200
    assert "streamer_frames_in_total" in body
    assert "streamer_bus_write_seconds_bucket" in body
    assert (await raw_request(running.port, "POST /health HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 405
    assert (await running.get("/nothing"))[0] == 404
    assert (await running.get(f"/ws?token={TOKEN}"))[0] == 426


async def test_a_full_streamer_says_so(running: Streamer, bus: Broker) -> None:
    await until(lambda: _no_sessions(running))
    clients = [await connect(running.url(f"/ws/full-{n}?token={TOKEN}")) for n in range(6)]
    try:
        with pytest.raises(InvalidStatus) as refused:
            await connect(running.url(f"/ws/full-7?token={TOKEN}"))
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"]
        # A call that is running here may always come back.
        async with connect(running.url(f"/ws/full-0?token={TOKEN}")):
            pass
    finally:
        for client in clients:
            await client.close()
    for n in range(6):
        await Worker(bus, f"full-{n}").until_told(MediaEnded)


async def test_a_client_that_says_nothing_is_sent_away(running: Streamer) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"GET /ws HTTP/1.1\r\n")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await asyncio.wait_for(reader.readexactly(1), 5)
    writer.close()


async def test_a_silent_client_is_pinged_and_then_dropped(running: Streamer, bus: Broker) -> None:
    dropped = await running.metric("silent_clients_dropped_total")
    # One that answers pings, as the library does by itself, stays.
    async with connect(running.url(f"/ws/answers?token={TOKEN}")) as answering:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        writer.write(upgrade(f"/ws/mute?token={TOKEN}").encode())
        await reader.readuntil(b"\r\n\r\n")
        assert (await asyncio.wait_for(reader.readexactly(2), 5))[0] == 0x89, "a ping"
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
        assert await running.metric("silent_clients_dropped_total") == dropped + 1
        await answering.send(FRAME)
        await answering.ping()
    mute = Worker(bus, "mute")
    await until(lambda: _is_away(mute))
    await end_call(running, "mute")


async def test_a_message_that_is_too_large_ends_the_connection(running: Streamer) -> None:
    async with connect(running.url(f"/ws/large?token={TOKEN}")) as client:
        await client.send(b"x" * (1 << 20 | 1))
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == 1009
    await end_call(running, "large")


async def end_call(running: Streamer, call_id: str) -> None:
    """Come back to a call that dropped, and hang up."""
    async with connect(running.url(f"/ws/{call_id}?token={TOKEN}")):
        pass


async def _is_away(worker: Worker) -> bool:
    return (await worker.state()).get("media") == "away"


async def _no_sessions(running: Streamer) -> bool:
    return await running.metric("sessions") == 0
