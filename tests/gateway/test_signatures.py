"""The three signature schemes: what holds, and everything that must not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.gateway_signing import KEY, b64url, plain, token, v1, v3
from webhook_gateway.signatures import SignatureError, SignatureMissing, Target, Verified, verify

NOW = 1732266000.0
URL = "https://bot.example.com/api/v1/webhooks/ringover/event"
PUBLIC = Target("POST", URL, is_public=True)
EVENT: dict[str, Any] = {
    "resource": "call",
    "event": "ringing",
    "timestamp": NOW,
    "attempt": 1,
    "data": {"call_id": "c1", "from_number": "33612345678", "name": "Zoé"},
}
BODY = json.dumps(EVENT).encode()


def check(
    headers: Mapping[str, str], body: bytes = BODY, *, keys: tuple[str, ...] = (KEY,), target: Target = PUBLIC
) -> Verified:
    return verify(headers, target, body, keys=keys, now=NOW)


def wrapped(event: object = EVENT, url: str = URL) -> dict[str, object]:
    return {"url": url, "payload": event}


GOOD = {
    "v1": v1(wrapped()),
    "v1 flat": v1(EVENT),
    "v1 flat with claims of its own": v1({**EVENT, "iat": 5, "iss": "ringover", "sub": 7, "aud": "x", "jti": 1}),
    "v1 in Authorization": {"authorization": token(wrapped())},
    "v1 as a bearer": {"authorization": f"Bearer {token(EVENT)}"},
    "v3": v3(BODY, URL, at=NOW),
    "hmac": plain(BODY),
    "hmac without prefix": {"x-ringover-signature": plain(BODY)["x-ringover-signature"].removeprefix("sha256=")},
    "hmac in capitals": {
        "x-ringover-signature": plain(BODY)["x-ringover-signature"].upper().replace("SHA256", "sha256")
    },
    "hmac beside a proxy's credentials": {**plain(BODY), "authorization": "Basic dXNlcjpwYXNz"},
}


@pytest.mark.parametrize("name", GOOD)
def test_a_right_signature_holds(name: str) -> None:
    verified = check(GOOD[name])
    assert verified.scheme == name.split()[0]
    assert verified.claim == (EVENT if verified.scheme == "v1" else None)


@pytest.mark.parametrize("name", GOOD)
def test_it_holds_with_any_key_of_the_list_and_with_no_other(name: str) -> None:
    assert check(GOOD[name], keys=("new-key", KEY)) == check(GOOD[name])
    with pytest.raises(SignatureError):
        check(GOOD[name], keys=("new-key", KEY + "x"))
    with pytest.raises(SignatureError):
        check(GOOD[name], keys=())


@pytest.mark.parametrize("name", GOOD)
def test_a_body_that_says_something_else_is_refused(name: str) -> None:
    with pytest.raises(SignatureError):
        check(GOOD[name], BODY.replace(b"33612345678", b"33612345679"))


@pytest.mark.parametrize("name", ["v3", "hmac"])
def test_the_raw_bytes_are_signed_and_not_their_meaning(name: str) -> None:
    same_meaning = json.dumps(EVENT, separators=(",", ":"), ensure_ascii=False).encode()
    assert json.loads(same_meaning) == EVENT
    with pytest.raises(SignatureError, match="not ours"):
        check(GOOD[name], same_meaning)


def test_no_signature_is_told_apart_from_a_wrong_one() -> None:
    with pytest.raises(SignatureMissing):
        check({"authorization": "Basic dXNlcjpwYXNz", "content-type": "application/json"})
    with pytest.raises(SignatureError) as caught:
        check({"x-ringover-signature": "sha256="})
    assert not isinstance(caught.value, SignatureMissing)


def test_one_signature_that_holds_is_enough() -> None:
    assert check({**v3(BODY, "https://other.example.com/", at=NOW), **GOOD["v1"]}).scheme == "v1"
    with pytest.raises(SignatureError, match=r"V3: .* V1: .* HMAC: "):
        check({**v3(BODY, URL, at=0), **v1(EVENT, "other"), **plain(BODY, "other")})


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "HS384", "RS256", "RS512", ""])
def test_only_hs512_tokens_hold(alg: str) -> None:
    with pytest.raises(SignatureError, match="not HS512"):
        check(v1(wrapped(), alg=alg))


BAD_TOKENS = {
    "no algorithm": token(EVENT, header={"typ": "JWT"}),
    "algorithm is a list": token(EVENT, header={"alg": ["HS512"]}),
    "unknown critical header": token(EVENT, header={"alg": "HS512", "crit": ["x"], "x": 1}),
    "detached payload": token(EVENT, header={"alg": "HS512", "crit": ["b64"], "b64": False}),
    "header is no object": token(EVENT, header=[]),  # type: ignore[arg-type]
    "header is no JSON": "e30x." + token(EVENT).partition(".")[2],
    "without signature": token(EVENT).rpartition(".")[0] + ".",
    "truncated": token(EVENT)[:-4],
    "two parts": token(EVENT).rpartition(".")[0],
    "four parts": token(EVENT) + ".x",
    "not base64": token(EVENT).replace(".", ".!", 1),
    "not ASCII": "é.é.é",
    "empty": "",
    "another payload under the same signature": ".".join(
        (
            token(EVENT).split(".")[0],
            b64url(json.dumps({**EVENT, "event": "hangup"}).encode()),
            token(EVENT).split(".")[2],
        )
    ),
    "claim is a list": token([EVENT]),
    "claim is no JSON": token(b"{"),
    "claim is no UTF-8": token(b'{"a": "\xff"}'),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
def test_a_bad_token_is_refused(name: str) -> None:
    with pytest.raises(SignatureError):
        check({"x-ringover-webhook-signature": BAD_TOKENS[name]})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        json.dumps({**EVENT, "event": "hangup"}).encode(),
        json.dumps({**EVENT, "extra": 1}).encode(),
        json.dumps({name: EVENT[name] for name in EVENT if name != "data"}).encode(),
    ],
)
def test_the_body_must_be_the_signed_claim(body: bytes) -> None:
    for claims in (wrapped(), EVENT):
        with pytest.raises(SignatureError, match="body"):
            check(v1(claims), body)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(EVENT, separators=(",", ":"), ensure_ascii=False, sort_keys=True).encode(),
        json.dumps({**EVENT, "attempt": 4}).encode(),
        json.dumps(wrapped()).encode(),
    ],
)
def test_the_body_may_say_the_same_in_other_bytes(body: bytes) -> None:
    for claims in (wrapped(), EVENT):
        assert check(v1(claims), body).claim == EVENT


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/api/v1/webhooks/ringover/event",
        "https://bot.example.com.evil.org/api/v1/webhooks/ringover/event",
        "https://bot.example.com:8443/api/v1/webhooks/ringover/event",
        "https://bot.example.com@evil.org/api/v1/webhooks/ringover/event",
        "https://bot.example.com/api/v1/webhooks/ringover/event/other",
        "https://bot.example.com/",
        "https://[bot",
        "https://bot.example.com:port/api/v1/webhooks/ringover/event",
        "",
    ],
)
def test_a_token_for_another_url_is_refused(url: str) -> None:
    for claims in (wrapped(url=url), {**EVENT, "url": url}):
        with pytest.raises(SignatureError, match="another URL"):
            check(v1(claims))
        # Without a configured public URL nobody knows what ours is.
        assert check(v1(claims), target=Target("POST", "http://10.0.0.7:8000/", is_public=False)).claim == EVENT


@pytest.mark.parametrize(
    "url", ["http://bot.example.com:80/api/v1/webhooks/ringover/event/", URL.replace("bot", "BOT")]
)
def test_host_and_path_of_the_url_count(url: str) -> None:
    assert check(v1(wrapped(url=url))).claim == EVENT


@pytest.mark.parametrize("skew", [-300, -1, 0, 299, 300])
def test_a_v3_timestamp_may_be_300_seconds_off(skew: int) -> None:
    assert check(v3(BODY, URL, at=NOW + skew)).scheme == "v3"


@pytest.mark.parametrize("skew", [-100000, -301, 301, 100000])
def test_an_old_or_future_v3_timestamp_is_refused(skew: int) -> None:
    with pytest.raises(SignatureError, match="300 s are allowed"):
        check(v3(BODY, URL, at=NOW + skew))


@pytest.mark.parametrize("stamp", [None, "", "nan", "inf", "-1", "1e9", "1_732_266_000", "١٧٣٢٢٦٦٠٠٠", "9" * 5000])
def test_a_v3_timestamp_is_epoch_seconds(stamp: str | None) -> None:
    headers = v3(BODY, URL, at=NOW)
    name = "x-ringover-request-signature-v3-timestamp"
    headers = {key: value for key, value in headers.items() if key != name} | ({} if stamp is None else {name: stamp})
    with pytest.raises(SignatureError, match="not epoch seconds"):
        check(headers)


def test_a_v3_signature_covers_method_url_and_timestamp() -> None:
    later = {**v3(BODY, URL, at=NOW), "x-ringover-request-signature-v3-timestamp": str(int(NOW) + 1)}
    for headers in (v3(BODY, URL, at=NOW, method="PUT"), v3(BODY, URL + "?a=1", at=NOW), later):
        with pytest.raises(SignatureError, match="not ours"):
            check(headers)


def test_behind_a_proxy_the_reason_names_the_setting() -> None:
    inside = Target("POST", "http://10.0.0.7:8000/api/v1/webhooks/ringover/event", is_public=False)
    with pytest.raises(SignatureError, match="WEBHOOK_PUBLIC_URL"):
        check(v3(BODY, URL, at=NOW), target=inside)
    assert check(v3(BODY, inside.url, at=NOW), target=inside).scheme == "v3"


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "authorization",
                "x-ringover-signature",
                "x-ringover-webhook-signature",
                "x-ringover-webhook-signature-v3",
                "x-ringover-request-signature-v3-timestamp",
            ]
        ),
        st.one_of(
            st.text(st.characters(max_codepoint=255)),
            st.lists(st.binary().map(b64url), min_size=3, max_size=3).map(".".join),
        ),
    ),
    st.binary(),
)
def test_junk_is_refused_and_never_an_error(headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(SignatureError) as caught:
        check(headers, body)
    assert KEY not in str(caught.value)
