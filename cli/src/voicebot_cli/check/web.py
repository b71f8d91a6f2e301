"""One HTTP request of a check, with its time limit; what goes wrong with it is a sentence."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

TIMEOUT_S = 8.0


class NoAnswer(Exception):
    """Nobody answered; the text says how."""


async def ask(
    method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None, proxy: bool = True
) -> httpx.Response:
    """The answer, whatever its status. `proxy`: by the proxy that the environment names, if any. Raises NoAnswer."""
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=proxy) as client:
            return await client.request(method, url, headers=dict(headers or {}), content=body)
    except httpx.TimeoutException as error:
        raise NoAnswer(f"{url}: no answer within {TIMEOUT_S:.0f} s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer(f"{url}: {str(error) or type(error).__name__}") from error


def said(response: httpx.Response) -> str:
    """`HTTP 401: …`, the error's own words in one short line."""
    words = " ".join(response.text.split())
    return f"HTTP {response.status_code}{f': {words[:160]}' if words else ''}"
