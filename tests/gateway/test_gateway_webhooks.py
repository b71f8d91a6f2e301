"""Webhooks to the real process: which are taken, which are refused, and what is published of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from callbus import calls, keys, numbers
from callbus.broker import Broker
from support.gateway_process import ENDPOINT, Gateway, eventually
from support.gateway_signing import KEY, plain, token, v1, v3
from support.gateway_webhooks import ADMIN, AT, AUTHORIZED, JSON, PATH_SECRET, counted, envelope, post, published
from webhook_gateway import intake


async def test_the_specifications_call_works_as_it_stands(client: httpx.AsyncClient, broker: Broker) -> None:
    body = b'{"event_type": "call_ringing", "call_id": "test123"}'
    first = await post(client, body)
    assert (first.status_code, first.json()) == (202, {"status": "accepted", "call_id": "test123"})
    # It was published before the answer came.
    [event] = await published(broker)
    assert (event.resource, event.event, event.call_id, event.source) == ("call", "ringing", "test123", "gateway")
    assert event.timestamp == pytest.approx(time.time(), abs=30)
    assert (await calls.get(broker, "test123"))["state"] == "ringing"
    again = await post(client, body)
    assert (again.status_code, again.json()) == (200, {"status": "duplicate", "call_id": "test123"})
    assert len(await published(broker)) == 1


async def test_all_three_schemes_are_taken(client: httpx.AsyncClient, running: Gateway, broker: Broker) -> None:
    url = running.url + ENDPOINT
    signers: list[Callable[[bytes], dict[str, str]]] = [
        lambda body: v1({"url": url, "payload": json.loads(body)}),
        lambda body: v1(json.loads(body)),
        lambda body: {"authorization": token(json.loads(body))},
        lambda body: v3(body, url, at=time.time()),
        lambda body: plain(body),
        lambda body: plain(body, "the-next-key"),
    ]
    for n, sign in enumerate(signers):
        body = envelope("ringing", f"c{n}")
        answer = await post(client, body, sign(body))
        assert (answer.status_code, answer.json()["call_id"]) == (202, f"c{n}")
    assert len(await published(broker)) == 6


@pytest.mark.parametrize(
    "headers",
    [
        {},
        plain(b"another body"),
        plain(envelope("ringing"), "another key"),
        v1(json.loads(envelope("hangup"))),
        v1(json.loads(envelope("ringing")), alg="none"),
        v3(envelope("ringing"), "http://elsewhere/", at=1732266000),
        {"authorization": f"Bearer {ADMIN}"},
    ],
)
async def test_what_ringover_did_not_sign_is_refused(
    client: httpx.AsyncClient, broker: Broker, headers: dict[str, str]
) -> None:
    answer = await post(client, envelope("ringing"), headers)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error", "hint"}
    assert KEY not in answer.text
    assert await published(broker) == []
    assert await calls.get(broker, "c1") == {}


async def test_whether_a_signature_holds_can_be_asked_without_an_event(
    client: httpx.AsyncClient, running: Gateway, broker: Broker
) -> None:
    body = b'{"check": "signature"}'
    url = running.url + ENDPOINT
    checked, refused = 'webhooks_total{outcome="checked"}', 'webhooks_total{outcome="bad_request"}'
    before = [await counted(client, f"ringover_gateway_{name}") for name in (checked, refused)]
    for scheme, headers in (
        ("hmac", plain(body)),
        ("v3", v3(body, url, at=time.time())),
        ("v1", v1({"url": url, "payload": json.loads(body)})),
        ("v1", v1(json.loads(body))),
    ):
        answer = await post(client, body, headers)
        assert (answer.status_code, answer.json()) == (200, {"status": "checked", "scheme": scheme})
    for headers in ({}, plain(body, "another key"), plain(b"another body")):
        assert (await post(client, body, headers)).status_code == 401
    # The secret path is trusted for one event, and not for this.
    assert (await post(client, body, {}, f"{ENDPOINT}/{PATH_SECRET}")).status_code == 401
    more = b'{"check": "signature", "call_id": "c1"}'
    assert (await post(client, more)).status_code == 400
    after = [await counted(client, f"ringover_gateway_{name}") for name in (checked, refused)]
    assert after == [before[0] + 4, before[1] + 1]
    assert await published(broker) == []
    assert await broker.execute("EXISTS", keys.RECENT, keys.call("c1")) == 0


async def test_of_fifty_deliveries_at_once_one_is_published(client: httpx.AsyncClient, broker: Broker) -> None:
    body = envelope("answered")
    answers = await asyncio.gather(*(post(client, body) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] * 49 + [202]
    assert len(await published(broker)) == 1


async def test_another_attempt_is_a_duplicate_and_another_moment_is_not(
    client: httpx.AsyncClient, broker: Broker
) -> None:
    body = envelope("tags_updated", resource="aftercall")
    retried = body.replace(b'"attempt": 1', b'"attempt": 2')
    assert retried != body
    earlier = envelope("tags_updated", resource="aftercall", at=AT - 1)
    answers = [await post(client, b) for b in (body, retried, earlier)]
    assert [answer.status_code for answer in answers] == [202, 200, 202]
    assert [event.event for event in await published(broker)] == ["tags_updated"] * 2


async def test_what_was_captured_and_is_posted_again_when_its_repetitions_are_forgotten_changes_nothing(
    client: httpx.AsyncClient, running: Gateway, broker: Broker
) -> None:
    old = AT - intake.LONGEST_AGO_S - 60
    stale = 'ringover_gateway_webhooks_total{outcome="stale"}'
    before = await counted(client, stale)
    flat = {"event_type": "call_ringing", "call_id": "c1", "timestamp": old}
    untold = {"resource": "call", "event": "ringing", "data": {"call_id": "c1", "start_time": old}}
    for event in (json.loads(envelope("ringing", at=old)), flat, untold):
        body = json.dumps(event).encode()
        for headers in (plain(body), v1({"url": running.url + ENDPOINT, "payload": event}), v1(event)):
            answer = await post(client, body, headers)
            assert (answer.status_code, answer.json()) == (200, {"status": "stale", "call_id": "c1"})
    assert await published(broker) == []
    assert await calls.recent(broker) == []
    assert await calls.get(broker, "c1") == {}
    assert await counted(client, stale) == before + 9
    # Whatever is younger is known from its repetition for as long as it is taken.
    assert intake.LONGEST_AGO_S < keys.DEDUP_TTL_S
    younger = int(time.time()) - intake.LONGEST_AGO_S + 60
    assert (await post(client, envelope("ringing", at=younger))).status_code == 202
    # What comes after a call may speak of one that was long ago.
    late = envelope("summary_available", resource="aftercall", start_time=old)
    assert (await post(client, late)).status_code == 202


async def test_a_hangup_before_answered_ends_the_call_for_good(client: httpx.AsyncClient, broker: Broker) -> None:
    at = AT - 60
    hangup = envelope(
        "hangup", at=at + 9, hangup_time=at + 9, duration_in_seconds=8, answering_machine_detection="HUMAN"
    )
    for body in (hangup, envelope("answered", at=at + 1), envelope("ringing", at=at)):
        assert (await post(client, body)).status_code == 202
    call = (await client.get("/api/v1/calls/c1", headers=AUTHORIZED)).json()
    assert call["state"] == "ended"
    assert (call["ringing_at"], call["answered_at"], call["ended_at"]) == (at, at + 1, at + 9)
    assert (call["duration_s"], call["amd"], call["ended_as"]) == (8.0, "HUMAN", "hangup")
    assert (await numbers.claim(broker, "33612345678", "33184800000")).call_id is None
    assert len(await published(broker)) == 3


async def test_unknown_events_and_messages_are_accepted(client: httpx.AsyncClient, broker: Broker) -> None:
    assert (await post(client, envelope("parked", resource="call"))).status_code == 202
    message = json.dumps({"resource": "message", "event": "received", "timestamp": AT, "data": {"body": "hi"}}).encode()
    assert (await post(client, message)).json() == {"status": "accepted", "call_id": None}
    assert (await post(client, message)).json() == {"status": "duplicate", "call_id": None}
    assert [(event.resource, event.event) for event in await published(broker)] == [
        ("call", "parked"),
        ("message", "received"),
    ]


async def test_unsigned_ivr_codes_are_trusted_by_the_secret_path_alone(
    client: httpx.AsyncClient, running: Gateway, broker: Broker
) -> None:
    body, secret_path = envelope("ivr_response_code"), f"{ENDPOINT}/{PATH_SECRET}"
    assert (await post(client, body, {})).status_code == 401
    assert (await post(client, body, {}, f"{ENDPOINT}/path-secret-0123456780")).status_code == 401
    # Nothing else is, and a wrong signature is worse than none.
    assert (await post(client, envelope("hangup"), {}, secret_path)).status_code == 401
    assert (await post(client, body, plain(b""), secret_path)).status_code == 401
    assert await published(broker) == []
    assert (await post(client, body, {}, secret_path)).status_code == 202
    signed = envelope("hangup")
    assert (
        await post(client, signed, v3(signed, running.url + secret_path, at=time.time()), secret_path)
    ).status_code == 202
    assert [event.event for event in await published(broker)] == ["ivr_response_code", "hangup"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"hello", "not JSON"),
        (b"[1]", "expected a JSON object"),
        (b"[" * 60000, "JSON|nested"),
        (b'{"a": NaN}', "NaN"),
        (b'{"resource": "call", "event": "ringing", "data": {}}', "call_id"),
        (b'{"event_type": "call_ringing", "call_id": "../x"}', "can't be used"),
    ],
)
async def test_what_cannot_be_read_is_refused_with_the_reason(
    client: httpx.AsyncClient, broker: Broker, body: bytes, reason: str
) -> None:
    answer = await post(client, body)
    assert answer.status_code == 400
    assert any(part in answer.json()["error"] for part in reason.split("|"))
    assert answer.json()["hint"]
    assert await published(broker) == []


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json; charset=utf-8", 202),
        ("Application/JSON", 202),
        ("application/vnd.ringover+json", 202),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=application/json", 415),
        ("", 202),
    ],
)
async def test_json_is_the_only_content_type(client: httpx.AsyncClient, content_type: str, status: int) -> None:
    body = envelope("ringing")
    assert (await post(client, body, {**plain(body), "content-type": content_type})).status_code == status


def padded(size: int) -> bytes:
    body = envelope("ringing", padding="")
    return body.replace(b'"padding": ""', b'"padding": "' + b"x" * (size - len(body)) + b'"')


@pytest.mark.parametrize(("size", "status"), [(64 * 1024, 202), (64 * 1024 + 1, 413), (1024 * 1024, 413)])
@pytest.mark.parametrize("chunked", [False, True])
async def test_64_kib_is_the_most(client: httpx.AsyncClient, size: int, status: int, chunked: bool) -> None:
    body = padded(size)
    assert len(body) == size

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 10_000):
            yield body[start : start + 10_000]

    answer = await client.post(ENDPOINT, content=chunks() if chunked else body, headers={**JSON, **plain(body)})
    assert answer.status_code == status
    assert set(answer.json()) == ({"error", "hint"} if status == 413 else {"status", "call_id"})


async def test_an_endless_body_is_cut_off(client: httpx.AsyncClient, running: Gateway) -> None:
    before = await counted(client, 'ringover_gateway_webhooks_total{outcome="too_large"}')
    url = httpx.URL(running.url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"POST {ENDPOINT} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    async def send() -> None:
        for _ in range(8192):  # 64 MiB
            writer.write(b"2000\r\n" + b"x" * 8192 + b"\r\n")
            await writer.drain()

    with pytest.raises(ConnectionError):
        await send()
    writer.transport.abort()
    assert await counted(client, 'ringover_gateway_webhooks_total{outcome="too_large"}') == before + 1


async def test_a_large_event_with_its_token_in_the_headers_is_taken(client: httpx.AsyncClient) -> None:
    body = padded(60_000)
    signature = token(json.loads(body))
    headers = {"x-ringover-webhook-signature": signature, "authorization": signature}
    assert (await post(client, body, headers)).status_code == 202


async def test_a_body_that_breaks_off_is_survived(client: httpx.AsyncClient, running: Gateway) -> None:
    before = await counted(client, 'ringover_gateway_webhooks_total{outcome="aborted"}')
    url = httpx.URL(running.url)
    _, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(f"POST {ENDPOINT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    async def aborted() -> bool:
        return await counted(client, 'ringover_gateway_webhooks_total{outcome="aborted"}') == before + 1

    await eventually(aborted)
