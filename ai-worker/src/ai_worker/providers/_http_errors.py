"""Maps what the providers' SDKs raise to ProviderError, with the key kept out of every text."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Mapping
from typing import Any

import elevenlabs.core
import httpx
import httpx2
import openai
from websockets.exceptions import InvalidStatus

from ai_worker.providers._text import sendable
from ai_worker.providers.base import ProviderDenied, ProviderError, ProviderRefused, ProviderTimeout

RETRYABLE_STATUSES = frozenset({408, 409, 425, 429})
# A 429 or a 5xx with one of these will not pass by waiting: the account needs somebody's hand.
OUT_OF_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded", "billing_not_active"})
# How a request ends when the server has closed an idle connection just as we took it from the pool.
STALE_CONNECTION = (
    httpx.RemoteProtocolError,
    httpx.ReadError,
    httpx.WriteError,
    httpx2.RemoteProtocolError,
    httpx2.ReadError,
    httpx2.WriteError,
)
ELEVENLABS_ERRORS = (elevenlabs.core.ApiError, elevenlabs.core.ParsingError, httpx.HTTPError, OSError)
# The OpenAI SDK lets the JSON and Unicode errors of a damaged event (both are ValueErrors) through.
OPENAI_ERRORS = (openai.OpenAIError, httpx2.HTTPError, OSError, ValueError)
LONGEST_REASON = 300
# A local server's "key" is a word like "local" that means nothing: cutting it out would garble the text.
SHORTEST_SECRET = 8


def checked_key(provider: str, key: str) -> str:
    """`key` without surrounding whitespace; ValueError when it can't go into an HTTP header.

    Checked here because the HTTP library's own error for it quotes the header, and so the key.
    """
    key = key.strip()
    if not key or not all(33 <= ord(character) <= 126 for character in key):
        found = "an empty one" if not key else f"{len(key)} characters with others among them"
        raise ValueError(f"{provider}: the API key must be printable ASCII without spaces, got {found}; set it again")
    return key


class ErrorMap:
    """The errors of one provider; `key` is cut out of whatever a server or a library says."""

    def __init__(self, provider: str, key: str) -> None:
        self._provider = provider
        self._key = key

    def timeout(self, awaited: str, seconds: float) -> ProviderTimeout:
        """`awaited` (e.g. "the first token") did not come within `seconds`."""
        return ProviderTimeout(self._provider, f"{awaited} did not come within {seconds:g} s")

    def failed(self, reason: str) -> ProviderError:
        """An answer that is missing or broken; the next attempt may succeed."""
        return ProviderError(self._provider, self._clean(reason), retryable=True)

    def refused(self, reason: str) -> ProviderRefused:
        """An answer that no further attempt will change."""
        return ProviderRefused(self._provider, self._clean(reason))

    def from_openai(self, error: Exception) -> ProviderError:
        """From one of OPENAI_ERRORS."""
        if isinstance(error, openai.APIStatusError):
            code = error.code or error.type or ""
            return self._from_status(error.status_code, error.response.headers, code, _openai_message(error))
        if isinstance(error, openai.APITimeoutError):
            return ProviderTimeout(self._provider, "the connection timed out")
        if isinstance(error, openai.APIConnectionError):
            return self.lost(error.__cause__ or error)
        if isinstance(error, openai.APIError):
            return self._from_stream_event(error)
        if isinstance(error, ValueError):
            return self.failed(f"the answer can't be read ({type(error).__name__})")
        return self.lost(error)

    def from_elevenlabs(self, error: Exception) -> ProviderError:
        """From one of ELEVENLABS_ERRORS."""
        if isinstance(error, elevenlabs.core.ApiError):
            code, message = elevenlabs_detail(error.body)
            return self._from_status(error.status_code or 500, error.headers or {}, code, message)
        if isinstance(error, elevenlabs.core.ParsingError):
            return self.failed("the answer can't be read")
        if isinstance(error, httpx.TimeoutException):
            return ProviderTimeout(self._provider, f"the connection timed out ({type(error).__name__})")
        return self.lost(error)

    def from_handshake(self, error: InvalidStatus) -> ProviderError:
        """From a WebSocket that ElevenLabs refused to open."""
        body = error.response.body or b""
        try:
            code, message = elevenlabs_detail(json.loads(body))
        except ValueError:
            code, message = "", body.decode(errors="replace")
        return self._from_status(error.response.status_code, error.response.headers, code, message)

    def _from_status(self, status: int, headers: Mapping[str, str], code: str, message: str) -> ProviderError:
        label = f"HTTP {status}, {code}" if re.fullmatch(r"[A-Za-z][\w.-]{0,60}", code) else f"HTTP {status}"
        if code in OUT_OF_CREDIT or status == 402:
            return ProviderDenied(self._provider, f"the account has no credit left ({label})")
        # Without the server's own words: for a wrong key they quote parts of it.
        if status == 401:
            return ProviderDenied(self._provider, f"the API key was not accepted ({label})")
        reason = self._clean(f"{label}: {message}" if message else label)
        if status in RETRYABLE_STATUSES or status >= 500:
            return ProviderError(self._provider, reason, retryable=True, retry_after=_retry_after(headers))
        return ProviderRefused(self._provider, reason)

    def _from_stream_event(self, error: openai.APIError) -> ProviderError:
        code = error.code or error.type or ""
        if code.isdigit():  # llama.cpp's server puts the HTTP status here
            return self._from_status(int(code), {}, error.type or "", error.message)
        reason = self._clean(f"error within the stream ({code}): {error.message}")
        if code in OUT_OF_CREDIT:
            return ProviderDenied(self._provider, reason)
        if error.type == "invalid_request_error":
            return ProviderRefused(self._provider, reason)
        return ProviderError(self._provider, reason, retryable=True)

    def denied(self, reason: str) -> ProviderDenied:
        """The account is not let in, whatever it asks for."""
        return ProviderDenied(self._provider, self._clean(reason))

    def lost(self, error: BaseException) -> ProviderError:
        """A connection that broke, or never came to be."""
        said = str(error)
        return self.failed(f"connection failed: {type(error).__name__}{f': {said}' if said else ''}")

    def _clean(self, text: str) -> str:
        if len(self._key) >= SHORTEST_SECRET:
            text = text.replace(self._key, "[key]")
        text = " ".join(sendable(text).split())
        return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"


def is_stale_connection(error: Exception) -> bool:
    """Whether the request found a dead connection in the pool, so that a new connection is worth one more try."""
    return isinstance(error, STALE_CONNECTION) or isinstance(error.__cause__, STALE_CONNECTION)


def lacks_scope(code: str, message: str) -> bool:
    """Whether a refusal only says that the key, a restricted one, may not do this one thing."""
    return code == "missing_permissions" or "missing scopes" in message.lower()


def elevenlabs_detail(body: Any) -> tuple[str, str]:
    """Code and message of an error body: `{"detail": {"status" or "code": …, "message": …}}` or plain text."""
    detail = body.get("detail", body) if isinstance(body, Mapping) else body
    if isinstance(detail, Mapping):
        return str(detail.get("status") or detail.get("code") or ""), str(detail.get("message") or "")
    return "", str(detail or "")


def _openai_message(error: openai.APIStatusError) -> str:
    message = error.body.get("message") if isinstance(error.body, Mapping) else None
    return str(message) if message else error.message


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from retry-after-ms, or retry-after as seconds or an HTTP date (RFC 9110 10.2.3)."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        if not (value := headers.get("retry-after")):
            return None
        if re.fullmatch(r"\s*\d+(\.\d+)?\s*", value):
            return float(value)
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
