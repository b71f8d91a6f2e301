"""Webhooks of any content: never a 500, and never published unless what is published was signed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from callbus import keys
from support.gateway_process import ENDPOINT, Gateway
from support.gateway_signing import KEY, b64url, plain, token, v1, v3
from support.gateway_webhooks import JSON, PATH_SECRET, envelope
from webhook_gateway import events
from webhook_gateway.signatures import SignatureError, Target, Verified, verify
from webhook_gateway.strict_json import BadJson, read_object

NOW = 1732266000.0
URL = "https://bot.example.com" + ENDPOINT
PUBLIC = Target("POST", URL, is_public=True)
EVENT: dict[str, Any] = {
    "resource": "call",
    "event": "ringing",
    "timestamp": NOW,
    "attempt": 1,
    "data": {"call_id": "c1", "from_number": "33612345678", "to_number": 33184800000, "name": "Zoé"},
}
BODY = json.dumps(EVENT).encode()
SIGNERS = {
    "v1": lambda: v1({"url": URL, "payload": EVENT}),
    "v1 flat": lambda: v1(EVENT),
    "v1 old": lambda: {"authorization": token({"url": URL, "payload": EVENT})},
    "v3": lambda: v3(BODY, URL, at=NOW),
    "hmac": lambda: plain(BODY),
}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    "resource event event_type timestamp attempt data call_id channel_id from_number to_number direction start_time "
    "hangup_time duration_in_seconds user ivr_data record reason url payload user_id".split()
)
ODD = VALUES | st.sampled_from(
    [
        10**400,
        -1,
        1e308,
        "1e999",
        "ringing",
        "hangup",
        "call",
        "c1",
        "\ud83d",
        "0000-00-00",
        "9999-12-31T23:59:59+99:99",
    ]
)
OBJECTS = st.dictionaries(NAMES | st.text(max_size=5), ODD | st.dictionaries(NAMES, ODD, max_size=6), max_size=8)


def outcome(headers: dict[str, str], body: bytes, target: Target = PUBLIC, *, now: float = NOW) -> Verified | None:
    try:
        return verify(headers, target, body, keys=("the-next-key", KEY), now=now)
    except SignatureError as error:
        reason = str(error)
    assert KEY not in reason
    return None


@settings(deadline=None, max_examples=120)
@given(
    signer=st.sampled_from(sorted(SIGNERS)),
    where=st.sampled_from(["header", "body"]),
    place=st.integers(0, 2000),
    cut=st.integers(0, 4),
    put=st.text(st.characters(max_codepoint=255), max_size=4),
)
def test_a_request_that_was_changed_on_its_way(signer: str, where: str, place: int, cut: int, put: str) -> None:
    """It is refused, or says what was signed."""
    headers, body = SIGNERS[signer](), BODY
    if where == "body":
        at = place % len(body)
        body = body[:at] + put.encode() + body[at + cut :]
        assume(body != BODY)
    else:
        name = list(headers)[place % len(headers)]
        value = headers[name]
        at = place % len(value)
        headers[name] = value[:at] + put + value[at + cut :]
    verified = outcome(headers, body)
    if verified is None:
        return
    if verified.scheme == "v1":
        assert verified.claim == EVENT
    else:
        # An HMAC's hex may be written in other ways; what it covers may not.
        assert body == BODY


ALGORITHMS = ("none", "NONE", "HS256", "HS384", "RS256", "RS512", "ES256", "PS512", "HS512 ", "hs512", "", "HS512")
PUBLIC_KEY = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----\n"


@settings(deadline=None, max_examples=120)
@given(
    alg=st.sampled_from(ALGORITHMS),
    more=st.dictionaries(st.sampled_from(["kid", "jku", "jwk", "x5u", "crit", "b64", "typ", "zip"]), ODD, max_size=3),
    key=st.sampled_from([KEY, "", "the-next-ke", KEY[:-1], "none", PUBLIC_KEY]),
    claims=st.just(EVENT) | OBJECTS,
    url=st.sampled_from([URL, URL + "/", "https://evil.example.com" + ENDPOINT, "", None]),
    keep=st.integers(0, 3),
)
def test_a_token_of_any_make(
    alg: str, more: dict[str, Any], key: str, claims: dict[str, Any], url: str | None, keep: int
) -> None:
    """Only HS512 by our key, for our URL, whole, with the event that was posted."""
    claim = {"url": url, "payload": claims} if url is not None else {**claims}
    made = token(_sendable(claim), key, header={**_sendable(more), "alg": alg})
    made = ".".join(made.split(".")[:keep] if keep else made.split("."))
    verified = outcome({"x-ringover-webhook-signature": made}, json.dumps(_sendable(claims)).encode())
    if verified is not None:
        assert (alg, key, keep in (0, 3)) == ("HS512", KEY, True)
        assert url in (URL, URL + "/", None)
        assert verified.claim is not None


def _sendable(value: Any) -> Any:
    return json.loads(json.dumps(value, allow_nan=True).replace("NaN", "0").replace("Infinity", "0"))


@settings(deadline=None, max_examples=100)
@given(alg=st.sampled_from(["RS256", "RS512", "PS256", "ES256", "EdDSA"]), signature=st.binary(max_size=300))
def test_a_token_that_claims_a_private_keys_signature(alg: str, signature: bytes) -> None:
    signed = token(EVENT, header={"alg": alg, "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}}).rpartition(".")[0]
    assert outcome({"x-ringover-webhook-signature": f"{signed}.{b64url(signature)}"}, BODY) is None


@settings(deadline=None, max_examples=100)
@given(skew=st.floats(-1e6, 1e6), now=st.floats(1e9, 4e9), stamp=st.none() | st.text(max_size=12))
def test_a_v3_timestamp_of_any_age(skew: float, now: float, stamp: str | None) -> None:
    headers = v3(BODY, URL, at=now + skew)
    if stamp is not None:
        headers["x-ringover-request-signature-v3-timestamp"] = stamp
    verified = outcome(headers, BODY, now=now)
    if stamp is None:
        assert (verified is not None) == (abs(now - int(now + skew)) <= 300)
    else:
        assert verified is None


@settings(deadline=None, max_examples=120)
@given(OBJECTS)
def test_any_object_is_an_event_or_refused(body: dict[str, Any]) -> None:
    try:
        event = events.parse(read_object(json.dumps(body).encode()))
    except (BadJson, events.BadEvent):
        return
    fields = event.lifecycle(now=NOW).fields()
    for text in (*event.once().values(), *event.latest().values(), event.delivery):
        text.encode()
    assert all(isinstance(value, bytes) for value in fields.values())


# The whole service, over real sockets.


@pytest.fixture(scope="module")
def store(redis_server: str) -> Iterator[Any]:
    # redis-py's types are those of both its clients.
    with redis.Redis.from_url(redis_server) as store:
        yield store
        store.flushdb()


WIRE = settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@WIRE
@given(body=OBJECTS.map(lambda found: json.dumps(found).encode()) | st.binary(max_size=60))
def test_signed_bodies_are_taken_or_refused_and_never_an_error(running: Gateway, store: Any, body: bytes) -> None:
    before = store.xlen(keys.EVENTS)
    with httpx.Client(base_url=running.url) as client:
        answer = client.post(ENDPOINT, content=body, headers={**JSON, **plain(body)})
        assert answer.status_code in (200, 202, 400)
        assert (store.xlen(keys.EVENTS) - before) == (answer.status_code == 202)
        assert client.get("/health").status_code == 200


HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "authorization",
            "content-type",
            "content-encoding",
            "x-forwarded-for",
            "x-forwarded-host",
            "expect",
            "x-ringover-signature",
            "x-ringover-webhook-signature",
            "x-ringover-webhook-signature-v3",
            "x-ringover-request-signature-v3-timestamp",
        ]
    ),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
    | st.sampled_from(["application/json", "Bearer x", base64.b64encode(bytes(32)).decode(), "sha256=" + "0" * 64]),
    max_size=6,
)
PATHS = st.sampled_from(
    [
        ENDPOINT,
        f"{ENDPOINT}/",
        f"{ENDPOINT}/x",
        f"{ENDPOINT}/{PATH_SECRET[:-1]}",
        f"{ENDPOINT}/%00",
        f"{ENDPOINT}?a=%ff[",
    ]
)
HOSTS = st.sampled_from(["bot.example.com", "[", "a]b", "x:99999", "x/y?z#", "@"]) | st.text(
    st.characters(min_codepoint=33, max_codepoint=126), max_size=20
)


@WIRE
@given(headers=HEADERS, path=PATHS, host=HOSTS, event=st.sampled_from(["ringing", "hangup", "ivr_response_code"]))
def test_unsigned_events_never_get_in(
    running: Gateway, store: Any, headers: dict[str, str], path: str, host: str, event: str
) -> None:
    before = store.xlen(keys.EVENTS)
    answer = httpx.post(running.url + path, content=envelope(event), headers={**JSON, **headers, "host": host})
    assert answer.status_code in (307, 400, 401, 404, 415)
    assert store.xlen(keys.EVENTS) == before
    assert store.keys("call:*") == [] or before > 0
