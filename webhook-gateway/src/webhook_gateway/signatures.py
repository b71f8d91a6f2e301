"""The three ways a Ringover webhook is signed (RINGOVER.md 1.1), checked over the raw bytes. Pure: no I/O, no clock."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from webhook_gateway.strict_json import BadJson, read_object

Scheme: TypeAlias = Literal["v1", "v3", "hmac"]

V1_HEADER = "x-ringover-webhook-signature"
V1_OLD_HEADER = "authorization"
V3_HEADER = "x-ringover-webhook-signature-v3"
V3_TIMESTAMP_HEADER = "x-ringover-request-signature-v3-timestamp"
HMAC_HEADER = "x-ringover-signature"

V3_MAX_SKEW_S = 300.0

# What a JWT may carry beside a flat event.
_REGISTERED_CLAIMS = frozenset(("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "url"))
_DEFAULT_PORTS = {"http": 80, "https": 443}
_JWS = jwt.PyJWS(algorithms=["HS512"])


class SignatureError(Exception):
    """The webhook is not known to come from Ringover; the text says why, and never shows a key or a right signature."""


class SignatureMissing(SignatureError):
    """There is no signature of any scheme."""


@dataclass(frozen=True, slots=True)
class Verified:
    """How a webhook was verified. In V1 the signed `claim` is the event; in the other schemes the body is (None)."""

    scheme: Scheme
    claim: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where the webhook was posted to. `url` is the public one if that is known (`is_public`), else the request's."""

    method: str
    url: str
    is_public: bool


def verify(headers: Mapping[str, str], target: Target, body: bytes, *, keys: Sequence[str], now: float) -> Verified:
    """Check the signatures that are there: one that holds, by one of `keys`, is enough. Raises SignatureError.

    `headers` has lower-case names (or any case, in a case-insensitive mapping); `now` is epoch seconds. To take
    the best of several is no downgrade: whoever could forge one could leave the others out.
    """
    failures: list[str] = []
    checks: dict[str, Callable[[], Verified | None]] = {
        "V3": lambda: _verify_v3(headers, target, body, keys, now),
        "V1": lambda: _verify_v1(headers, target, body, keys),
        "HMAC": lambda: _verify_hmac(headers, body, keys),
    }
    for scheme, check in checks.items():
        try:
            verified = check()
        except SignatureError as error:
            failures.append(f"{scheme}: {error}")
        else:
            if verified is not None:
                return verified
    if not failures:
        raise SignatureMissing("there is no signature: expected X-Ringover-Webhook-Signature or X-Ringover-Signature")
    raise SignatureError("; ".join(failures))


def same_secret(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _verify_v3(
    headers: Mapping[str, str], target: Target, body: bytes, keys: Sequence[str], now: float
) -> Verified | None:
    given = headers.get(V3_HEADER)
    if given is None:
        return None
    stamp = headers.get(V3_TIMESTAMP_HEADER, "").strip()
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", stamp):
        raise SignatureError("X-Ringover-Request-Signature-V3-Timestamp is not epoch seconds")
    skew = now - float(stamp)
    if abs(skew) > V3_MAX_SKEW_S:
        raise SignatureError(
            f"the timestamp is {skew:+.0f} s from this machine's clock, {V3_MAX_SKEW_S:.0f} s are allowed"
        )
    signed = target.method.upper().encode() + target.url.encode() + body + stamp.encode()
    expected = (base64.b64encode(hmac.digest(key.encode(), signed, hashlib.sha256)).decode() for key in keys)
    if not _any_matches(given.strip(), expected):
        hint = "" if target.is_public else " (it covers the URL: behind a proxy set WEBHOOK_PUBLIC_URL)"
        raise SignatureError(f"the signature is not ours{hint}")
    return Verified("v3")


def _verify_hmac(headers: Mapping[str, str], body: bytes, keys: Sequence[str]) -> Verified | None:
    given = headers.get(HMAC_HEADER)
    if given is None:
        return None
    expected = (hmac.digest(key.encode(), body, hashlib.sha256).hex() for key in keys)
    if not _any_matches(given.strip().lower().removeprefix("sha256="), expected):
        raise SignatureError("the signature is not ours")
    return Verified("hmac")


def _verify_v1(headers: Mapping[str, str], target: Target, body: bytes, keys: Sequence[str]) -> Verified | None:
    token = headers.get(V1_HEADER)
    if token is None:
        # A proxy may have put credentials of its own there.
        token = headers.get(V1_OLD_HEADER, "").strip().removeprefix("Bearer ")
        if token.count(".") != 2:
            return None
    claims = _claims(token.strip(), keys)
    signed_url = claims.get("url")
    if target.is_public and isinstance(signed_url, str) and _place(signed_url) != _place(target.url):
        raise SignatureError("the token was made for another URL than WEBHOOK_PUBLIC_URL")
    event = _event(claims)
    try:
        posted = _event(read_object(body))
    except BadJson as error:
        raise SignatureError(f"the body can't be compared with the signed claim: {error}") from error
    if _essence(posted) != _essence(event):
        raise SignatureError("the body is not the event in the signed claim")
    return Verified("v1", event)


def _claims(token: str, keys: Sequence[str]) -> dict[str, Any]:
    reason = "the token is not ours"
    for key in keys:
        try:
            with warnings.catch_warnings():
                # The key's length is the dashboard's choice.
                warnings.simplefilter("ignore", InsecureKeyLengthWarning)
                payload: bytes = _JWS.decode(token, key, algorithms=["HS512"])
            return read_object(payload)
        except jwt.InvalidSignatureError:
            continue
        except jwt.InvalidAlgorithmError:
            reason = "the token's algorithm is not HS512"
        except (jwt.PyJWTError, UnicodeError) as error:
            reason = f"the token can't be read: {error}"
        except BadJson as error:
            reason = f"the token's claim can't be read: {error}"
    raise SignatureError(reason)


def _event(claims: dict[str, Any]) -> dict[str, Any]:
    """The event in either claim form: `{"url": …, "payload": event}` or the event itself."""
    payload = claims.get("payload")
    if isinstance(payload, dict) and "event" not in claims and "event_type" not in claims:
        return payload
    return {name: value for name, value in claims.items() if name not in _REGISTERED_CLAIMS}


def _essence(event: dict[str, Any]) -> dict[str, Any]:
    # A repetition may count its attempts in the body alone; nothing depends on the number.
    return {name: value for name, value in event.items() if name != "attempt"}


def _place(url: str) -> tuple[str | None, int | None, str] | None:
    """Host, port (None: the scheme's own) and path; None for what is no URL."""
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port if parts.port != _DEFAULT_PORTS.get(parts.scheme) else None
    except ValueError:
        return None
    return parts.hostname, port, parts.path.rstrip("/")


def _any_matches(given: str, expected: Iterable[str]) -> bool:
    # No early end: the time must not tell which key it was.
    matches = [same_secret(given, candidate) for candidate in expected]
    return any(matches)
