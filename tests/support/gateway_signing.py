"""Signs webhooks as Ringover does, written from its description and not from the gateway's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

KEY = "wh-key-7f3a9c51d2"


def b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def token(claims: Any, key: str = KEY, *, alg: str = "HS512", header: dict[str, Any] | None = None) -> str:
    """A JWT; `alg` is what its header says, the signature is HMAC by that name's hash (empty for `none`)."""
    head = json.dumps(header if header is not None else {"typ": "JWT", "alg": alg}).encode()
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = f"{b64url(head)}.{b64url(payload)}"
    digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384}.get(alg, hashlib.sha512)
    signature = b"" if alg == "none" else hmac.new(key.encode(), signed.encode(), digest).digest()
    return f"{signed}.{b64url(signature)}"


def v1(claims: Any, key: str = KEY, **options: Any) -> dict[str, str]:
    return {"x-ringover-webhook-signature": token(claims, key, **options)}


def v3(body: bytes, url: str, *, at: float, key: str = KEY, method: str = "POST") -> dict[str, str]:
    stamp = str(int(at))
    digest = hmac.new(key.encode(), method.encode() + url.encode() + body + stamp.encode(), hashlib.sha256).digest()
    return {
        "x-ringover-webhook-signature-v3": base64.b64encode(digest).decode(),
        "x-ringover-request-signature-v3-timestamp": stamp,
    }


def plain(body: bytes, key: str = KEY) -> dict[str, str]:
    return {"x-ringover-signature": "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()}
