"""The OpenAI SDK's client as the providers use it: kept warm, without the SDK's own retries."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx2
from openai import APIStatusError, AsyncOpenAI, DefaultAsyncHttpx2Client, Timeout

from ai_worker.providers._connections import Connections
from ai_worker.providers._http_errors import OPENAI_ERRORS, ErrorMap, checked_key, lacks_scope

OPENAI_URL = "https://api.openai.com/v1"
# The HTTP library forgets an idle connection after 5 s, less than a caller's turn takes.
CONNECTIONS = httpx2.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=120.0)


class OpenAiClient:
    """`sdk` is the SDK's client, `errors` maps what it raises, `connections` go around every request.

    `connect_timeout` and `read_timeout` are in seconds; the providers' own deadlines lie above them. The SDK's
    retries are off: they wait for up to 120 s when a server asks for it, and a caller hears that as silence.
    `keep_warm`: open connections in the background; pointless with a server on this machine.
    """

    def __init__(
        self,
        provider: str,
        *,
        api_key: str,
        base_url: str,
        connect_timeout: float,
        read_timeout: float,
        keep_warm: bool = True,
    ) -> None:
        key = checked_key(provider, api_key)
        self.errors = ErrorMap(provider, key)
        timeout = Timeout(read_timeout, connect=connect_timeout)
        self._models = f"{base_url.rstrip('/')}/models"
        self._headers = {"authorization": f"Bearer {key}"}
        self._http = DefaultAsyncHttpx2Client(timeout=timeout, limits=CONNECTIONS)
        self.sdk = AsyncOpenAI(
            api_key=key,
            base_url=base_url,
            timeout=timeout,
            max_retries=0,
            http_client=self._http,
        )
        self.connections = Connections(self.errors, renew=self._renew if keep_warm else None, close=self._http.aclose)

    async def warm(self, timeout: float) -> None:
        """Open a connection, with the cheapest request there is, within `timeout` s. Raises ProviderError."""
        deadline = asyncio.get_running_loop().time() + timeout
        with self.connections.request():
            try:
                async with self.connections.until(deadline, "the list of models", timeout):
                    await self.sdk.models.list()
            except OPENAI_ERRORS as error:
                # A restricted key may not list models, and still may do what it is for.
                if isinstance(error, APIStatusError) and lacks_scope(error.code or "", error.message):
                    return
                raise self.errors.from_openai(error) from None

    async def aclose(self) -> None:
        """Close every connection, running requests included; the client can't be used after this."""
        await self.connections.aclose()

    async def _renew(self) -> None:
        # Any answer will do, and one without a body is the smallest.
        with suppress(httpx2.HTTPError, OSError):
            await self._http.head(self._models, headers=self._headers)
