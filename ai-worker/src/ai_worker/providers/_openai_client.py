"""The OpenAI SDK's client as the providers use it: kept warm, without the SDK's own retries."""

from __future__ import annotations

import asyncio

import httpx2
from openai import APIStatusError, AsyncOpenAI, DefaultAsyncHttpx2Client, Timeout

from ai_worker.providers._http_errors import OPENAI_ERRORS, ErrorMap, checked_key, lacks_scope

OPENAI_URL = "https://api.openai.com/v1"
# The HTTP library forgets an idle connection after 5 s, less than a caller's turn takes.
CONNECTIONS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=120.0)


class OpenAiClient:
    """`sdk` is the SDK's client, `errors` maps what it raises.

    `connect_timeout` and `read_timeout` are in seconds; the providers' own deadlines lie above them. The SDK's
    retries are off: they wait for up to 120 s when a server asks for it, and a caller hears that as silence.
    """

    def __init__(
        self, provider: str, *, api_key: str, base_url: str, connect_timeout: float, read_timeout: float
    ) -> None:
        key = checked_key(provider, api_key)
        self.errors = ErrorMap(provider, key)
        timeout = Timeout(read_timeout, connect=connect_timeout)
        self.sdk = AsyncOpenAI(
            api_key=key,
            base_url=base_url,
            timeout=timeout,
            max_retries=0,
            http_client=DefaultAsyncHttpx2Client(timeout=timeout, limits=CONNECTIONS),
        )

    async def warm(self, timeout: float) -> None:
        """Open a connection, with the cheapest request there is, within `timeout` s. Raises ProviderError."""
        try:
            async with asyncio.timeout(timeout):
                await self.sdk.models.list()
        except TimeoutError:
            raise self.errors.timeout("the list of models", timeout) from None
        except OPENAI_ERRORS as error:
            # A restricted key may not list models, and still may do what it is for.
            if isinstance(error, APIStatusError) and lacks_scope(error.code or "", error.message):
                return
            raise self.errors.from_openai(error) from None

    async def aclose(self) -> None:
        """Close every connection; the client can't be used after this."""
        await self.sdk.close()
