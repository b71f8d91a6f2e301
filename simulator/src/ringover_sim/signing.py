"""The three ways Ringover signs a webhook (RINGOVER.md 1.1)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import warnings
from typing import Any, Literal

import jwt
from jwt.warnings import InsecureKeyLengthWarning

Scheme = Literal["v1", "v1-flat", "v3", "hmac"]
"""v1: JWT whose claims are {url, payload}; v1-flat: JWT whose claims are the event; v3: HMAC with a timestamp;
hmac: the specification's X-Ringover-Signature."""


def sign(scheme: Scheme, secret: str, *, url: str, event: dict[str, Any], body: bytes, now: float) -> dict[str, str]:
    """The headers that sign a POST of `body` (the event as sent) to `url`; `now` is epoch seconds."""
    match scheme:
        case "v1":
            return _v1(secret, {"url": url, "payload": event})
        case "v1-flat":
            return _v1(secret, event)
        case "v3":
            stamp = str(int(now))
            mac = hmac.new(secret.encode(), b"POST" + url.encode() + body + stamp.encode(), hashlib.sha256)
            return {
                "X-Ringover-Webhook-Signature-V3": base64.b64encode(mac.digest()).decode(),
                "X-Ringover-Request-Signature-V3-Timestamp": stamp,
            }
        case "hmac":
            digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            return {"X-Ringover-Signature": f"sha256={digest}"}


def _v1(secret: str, claims: dict[str, Any]) -> dict[str, str]:
    with warnings.catch_warnings():
        # The key's length is the dashboard's choice, not ours.
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        token = jwt.encode(claims, secret, algorithm="HS512")
    return {"X-Ringover-Webhook-Signature": token, "Authorization": token}
