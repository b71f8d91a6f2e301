"""Streaming text-to-speech by ElevenLabs, as PCM at the call's own rate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from typing import cast
from urllib.parse import quote

import httpx
from elevenlabs import AsyncElevenLabs
from elevenlabs.core import ApiError, RequestOptions

from ai_worker.providers._http_errors import (
    ELEVENLABS_ERRORS,
    ErrorMap,
    checked_key,
    elevenlabs_detail,
    is_stale_connection,
    lacks_scope,
)

ELEVENLABS_URL = "https://api.elevenlabs.io"
OUTPUT_FORMATS = {8000: "pcm_8000", 16000: "pcm_16000"}
# The HTTP library forgets an idle connection after 5 s, less than a caller's turn takes.
CONNECTIONS = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=120.0)
# Audio as it comes off the wire: the SDK would otherwise hold it back until 1024 bytes, 64 ms at 8 kHz, are there.
AS_IT_COMES = cast(RequestOptions, {"chunk_size": None})
# The SDK's own retries wait for up to 60 s.
NO_RETRIES: RequestOptions = {"max_retries": 0}


class ElevenLabsSpeech:
    """A TextToSpeech over POST {base_url}/v1/text-to-speech/{voice}/stream.

    `default_voice` is a voice id (the default is one of the provider's own voices, "George"). Times are in seconds:
    `first_byte_timeout` counts from the request, connecting included; `between_bytes_timeout` from one piece of audio
    to the next. Raises ValueError for a key that can't be sent.
    """

    def __init__(
        self,
        *,
        api_key: str,
        model: str = "eleven_flash_v2_5",
        default_voice: str = "JBFqnCBsd6RMkjVDRZzb",
        base_url: str = ELEVENLABS_URL,
        name: str = "elevenlabs-tts",
        first_byte_timeout: float = 3.0,
        between_bytes_timeout: float = 2.0,
    ) -> None:
        key = checked_key(name, api_key)
        self.name = name
        self._model = model
        self._default_voice = default_voice
        self._first_byte_timeout = first_byte_timeout
        self._between_bytes_timeout = between_bytes_timeout
        self._errors = ErrorMap(name, key)
        timeout = max(first_byte_timeout, between_bytes_timeout)
        self._http = httpx.AsyncClient(timeout=timeout, limits=CONNECTIONS)
        self._sdk = AsyncElevenLabs(api_key=key, base_url=base_url, timeout=timeout, httpx_client=self._http)
        # The SDK imports a resource when it is first asked for; that is not to happen within a call.
        self._speech = self._sdk.text_to_speech.with_raw_response

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes]:
        """See TextToSpeech.stream. Text without a letter or digit is silence: no audio, no request.

        Raises ValueError for a rate other than 8000 or 16000 Hz.
        """
        if sample_rate not in OUTPUT_FORMATS:
            raise ValueError(f"{self.name}: speech at 8000 or 16000 Hz, not at {sample_rate} Hz")
        if not any(character.isalnum() for character in text):
            return
        loop = asyncio.get_running_loop()
        deadline, allowed = loop.time() + self._first_byte_timeout, self._first_byte_timeout
        odd, begun = b"", False
        async with AsyncExitStack() as request:
            body = await self._open(request, text, sample_rate, voice or self._default_voice, language, deadline)
            while (data := await self._next(body, deadline, allowed, begun=begun)) is not None:
                begun = True
                audio = odd + data
                whole = len(audio) - len(audio) % 2
                odd = audio[whole:]
                if whole:
                    yield audio[:whole]
                allowed = self._between_bytes_timeout
                deadline = loop.time() + allowed
        if not begun:
            raise self._errors.failed("the answer held no audio")

    async def warm(self) -> None:
        """Open a connection. Raises ProviderError, also for a key that is not accepted."""
        try:
            async with asyncio.timeout(self._first_byte_timeout):
                await self._sdk.models.list(request_options=NO_RETRIES)
        except TimeoutError:
            raise self._errors.timeout("the list of models", self._first_byte_timeout) from None
        except ELEVENLABS_ERRORS as error:
            # A restricted key may not list models, and still may speak.
            if isinstance(error, ApiError) and lacks_scope(*elevenlabs_detail(error.body)):
                return
            raise self._errors.from_elevenlabs(error) from None

    async def aclose(self) -> None:
        """Close the connections, running requests included."""
        await self._http.aclose()

    async def _open(
        self, request: AsyncExitStack, text: str, sample_rate: int, voice: str, language: str, deadline: float
    ) -> AsyncIterator[bytes]:
        stale_seen = False
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    response = await request.enter_async_context(
                        self._speech.stream(
                            quote(voice, safe=""),
                            text=text,
                            model_id=self._model,
                            output_format=OUTPUT_FORMATS[sample_rate],
                            language_code=language or None,
                            request_options=AS_IT_COMES,
                        )
                    )
            except TimeoutError:
                raise self._errors.timeout("the first audio", self._first_byte_timeout) from None
            except ELEVENLABS_ERRORS as error:
                if stale_seen or not is_stale_connection(error):
                    raise self._errors.from_elevenlabs(error) from None
                stale_seen = True
                continue
            kind = response.headers.get("content-type", "")
            # Played to the caller, a proxy's error page would be noise.
            if kind.startswith(("text/", "application/json")):
                raise self._errors.failed(f"audio expected, the answer is {kind}")
            body: AsyncIterator[bytes] = response.data
            return body

    async def _next(self, body: AsyncIterator[bytes], deadline: float, allowed: float, *, begun: bool) -> bytes | None:
        try:
            async with asyncio.timeout_at(deadline):
                return await anext(body, None)
        except TimeoutError:
            raise self._errors.timeout("the next audio" if begun else "the first audio", allowed) from None
        except ELEVENLABS_ERRORS as error:
            raise self._errors.from_elevenlabs(error) from None
