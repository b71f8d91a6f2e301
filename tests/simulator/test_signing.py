"""Each signature checked by hand, from the rules, without the code that made it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import httpx
import pytest

from ringover_sim.errors import GatewayError
from ringover_sim.signing import Scheme, sign
from ringover_sim.webhooks import ENDPOINT, EventName, Form, Parties, WebhookSender, endpoint
from support.sim_http import http_peer

SECRET = "a-webhook-key"
URL = "https://bot.example.org/api/v1/webhooks/ringover/event"
EVENT = {"resource": "call", "event": "ringing", "data": {"call_id": "c-1", "note": "né à"}}
BODY = json.dumps(EVENT).encode()
PARTIES = Parties("c-1", "33612345678", "33184800000")


def claims(token: str) -> dict[str, Any]:
    """The claims of a JWT whose HS512 signature is right."""
    head, payload, signature = token.split(".")
    expected = hmac.new(SECRET.encode(), f"{head}.{payload}".encode(), hashlib.sha512).digest()
    assert base64.urlsafe_b64decode(signature + "==") == expected
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["alg"] == "HS512"
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=="))
    return decoded


@pytest.mark.parametrize(("scheme", "expected"), [("v1", {"url": URL, "payload": EVENT}), ("v1-flat", EVENT)])
def test_v1_is_a_jwt_in_both_headers(scheme: Scheme, expected: dict[str, Any]) -> None:
    headers = sign(scheme, SECRET, url=URL, event=EVENT, body=BODY, now=0)
    assert claims(headers["X-Ringover-Webhook-Signature"]) == expected
    assert headers["Authorization"] == headers["X-Ringover-Webhook-Signature"]


def test_v3_covers_method_url_body_and_timestamp_in_this_order() -> None:
    headers = sign("v3", SECRET, url=URL, event=EVENT, body=BODY, now=1732266000.9)
    assert headers["X-Ringover-Request-Signature-V3-Timestamp"] == "1732266000"
    mac = hmac.new(SECRET.encode(), b"POST" + URL.encode() + BODY + b"1732266000", hashlib.sha256).digest()
    assert headers["X-Ringover-Webhook-Signature-V3"] == base64.b64encode(mac).decode()


def test_the_specifications_header_covers_the_raw_body() -> None:
    headers = sign("hmac", SECRET, url=URL, event=EVENT, body=BODY, now=0)
    digest = hmac.new(SECRET.encode(), BODY, hashlib.sha256).hexdigest()
    assert headers == {"X-Ringover-Signature": f"sha256={digest}"}


def test_the_endpoint_is_added_to_a_bare_host_only() -> None:
    assert endpoint("http://localhost:8000/") == f"http://localhost:8000{ENDPOINT}"
    assert endpoint("http://localhost:8000/hooks/secret") == "http://localhost:8000/hooks/secret"


async def deliver(
    url: str, *names: EventName, scheme: Scheme = "v1-flat", form: Form = "envelope", secret: str = SECRET
) -> None:
    times = iter(range(1000, 2000, 10))
    async with httpx.AsyncClient(trust_env=False) as client:
        sender = WebhookSender(
            client, url, secret, PARTIES,
            scheme=scheme, form=form, clock=lambda: float(next(times)), retry_delays=(0.0, 0.0),
        )  # fmt: skip
        for name in names:
            await sender.deliver(name)


async def test_a_failed_delivery_is_repeated_with_the_attempt_counted_and_the_event_unchanged() -> None:
    with http_peer() as peer:
        peer.statuses = [503, 503]
        await deliver(peer.url, "ringing")
        events = [json.loads(post.body) for post in peer.posted]
        assert [event["attempt"] for event in events] == [1, 2, 3]
        assert len({event["timestamp"] for event in events}) == 1
        signed = [claims(post.headers["x-ringover-webhook-signature"]) for post in peer.posted]
        assert signed == events


async def test_a_refused_event_is_not_repeated() -> None:
    with http_peer() as peer:
        peer.statuses = [401]
        with pytest.raises(GatewayError, match="refused the 'ringing' event: HTTP 401"):
            await deliver(peer.url, "ringing")
        assert len(peer.posted) == 1


async def test_a_gateway_that_is_not_there_is_named() -> None:
    with http_peer() as peer:
        gone = peer.url
    with pytest.raises(GatewayError, match=r"did not take the 'ringing' event after 3 attempts: ConnectError"):
        await deliver(gone, "ringing")


async def test_the_real_envelope_tells_the_calls_times_and_duration() -> None:
    with http_peer() as peer:
        await deliver(peer.url, "ringing", "answered", "hangup")
        ringing, answered, hangup = (json.loads(post.body) for post in peer.posted)
    assert [event["event"] for event in (ringing, answered, hangup)] == ["ringing", "answered", "hangup"]
    assert answered["data"]["answered_time"] > answered["data"]["start_time"]
    data = hangup["data"]
    assert data["duration_in_seconds"] == data["hangup_time"] - answered["data"]["answered_time"] > 0
    assert (data["from_number"], data["to_number"], data["call_id"]) == ("33612345678", "33184800000", "c-1")


async def test_the_specifications_form() -> None:
    with http_peer() as peer:
        await deliver(peer.url, "ringing", "answered", "hangup", scheme="hmac", form="specification")
        names = [json.loads(post.body)["event_type"] for post in peer.posted]
        assert names == ["call_ringing", "call_answered", "call_ended"]
        assert {post.path for post in peer.posted} == {ENDPOINT}


async def test_without_a_secret_nothing_is_signed() -> None:
    with http_peer() as peer:
        await deliver(peer.url, "ringing", secret="")
        assert not {name for name in peer.posted[0].headers if "signature" in name or name == "authorization"}
