"""One signed POST of a call's record to the customer's webhook, and what its answer means."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import math
import random
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal, cast
from urllib.parse import urlsplit, urlunsplit

import httpx

LONGEST_PAUSE_S = 3600.0
_WORTH_RETRYING = frozenset((408, 409, 425, 429))
_LONGEST_WORDS = 300
"""Characters of a refusal that are kept for the person who reads the dead letter."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where records go. `timeout_s` is for one post; tries go on for `window_s` from the first one."""

    url: str = field(repr=False)
    secret: bytes = field(repr=False)
    timeout_s: float = 10.0
    window_s: float = 24 * 3600.0
    first_retry_s: float = 5.0

    @property
    def shown_url(self) -> str:
        """The URL without what may be secret in it: a user, a password, the query."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))

    def pause_s(self, tries: int) -> float:
        """How long to wait after so many tries: twice as long after each, half of it at random."""
        longest = min(LONGEST_PAUSE_S, self.first_retry_s * 2.0 ** min(tries - 1, 30))
        return longest * random.uniform(0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """`taken`: delivered. `later`: try again, in `retry_after_s` at the earliest. `refused`: never try again."""

    verdict: Literal["taken", "later", "refused"]
    reason: str
    status: int | None = None
    words: str = ""
    """How the receiver explained a refusal. Not for logs."""
    retry_after_s: float = 0.0


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over `timestamp.body`, in hex."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


async def post(http: httpx.AsyncClient, webhook: Webhook, body: bytes, *, idempotency_key: str) -> Answer:
    """Post once. Redirects are not followed: a signed record goes to the configured address only."""
    timestamp = str(int(time.time()))
    # Not by the client's own `post`: that would send cookies of earlier answers along.
    request = httpx.Request(
        "POST",
        webhook.url,
        headers={
            "Content-Type": "application/json",
            "User-Agent": "ringover-voicebot",
            "Idempotency-Key": idempotency_key,
            "X-Timestamp": timestamp,
            "X-Signature": signature(webhook.secret, timestamp, body),
        },
        content=body,
        extensions={"timeout": httpx.Timeout(webhook.timeout_s).as_dict()},
    )
    try:
        async with asyncio.timeout(webhook.timeout_s):
            response = await http.send(request, stream=True, follow_redirects=False)
            try:
                return await _judged(response)
            finally:
                await response.aclose()
    except (TimeoutError, httpx.TimeoutException):
        return Answer("later", f"no answer within {webhook.timeout_s:g} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Answer("later", f"the connection failed: {str(error) or type(error).__name__}")


async def _judged(response: httpx.Response) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        return Answer("taken", f"status {status}", status)
    if 400 <= status < 500 and status not in _WORTH_RETRYING:
        return Answer("refused", f"refused with status {status}", status, words=await _words(response))
    reason = f"status {status}"
    if response.has_redirect_location:
        reason += ": redirects are not followed; set CALLS_WEBHOOK_URL to the final address"
    return Answer("later", reason, status, retry_after_s=retry_after(response.headers.get("retry-after", "")))


async def _words(response: httpx.Response) -> str:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return ""
    body = bytearray()
    async with aclosing(cast(AsyncGenerator[bytes, None], response.aiter_raw())) as pieces:
        try:
            async for piece in pieces:
                body += piece
                if len(body) > 4 * _LONGEST_WORDS:
                    break
        except httpx.HTTPError:
            pass  # the status has said it
    text = bytes(body).decode("utf-8", "replace")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_LONGEST_WORDS]


def retry_after(header: str) -> float:
    """Seconds from a Retry-After header (RFC 9110, 10.2.3: seconds or a date); 0 for what is neither."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            moment = parsedate_to_datetime(header)
        except ValueError:
            return 0.0
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
    return max(0.0, seconds) if math.isfinite(seconds) else 0.0
