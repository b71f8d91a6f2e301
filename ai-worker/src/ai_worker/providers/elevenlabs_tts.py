"""Streaming text-to-speech by ElevenLabs, as PCM at the call's own rate."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from urllib.parse import quote

import httpx
from elevenlabs import AsyncElevenLabs
from elevenlabs.core import ApiError, RequestOptions
from elevenlabs.core.http_response import AsyncHttpResponse

from ai_worker.providers._alignment import AlignedAudio
from ai_worker.providers._connections import Connections
from ai_worker.providers._http_errors import (
    ELEVENLABS_ERRORS,
    ErrorMap,
    checked_key,
    elevenlabs_detail,
    lacks_scope,
)
from ai_worker.providers._speech_stream import CALL_RATES, SpeechStream
from ai_worker.providers.base import SaidUntil
from ai_worker.providers.usage import Told, of_characters, told_nobody

ELEVENLABS_URL = "https://api.elevenlabs.io"
# The HTTP library forgets an idle connection after 5 s, less than a caller's turn takes.
CONNECTIONS = httpx.Limits(max_connections=1000, max_keepalive_connections=100, keepalive_expiry=120.0)
# The SDK's own retries wait for up to 60 s.
NO_RETRIES: RequestOptions = {"max_retries": 0}


class ElevenLabsSpeech:
    """A TextToSpeech over POST {base_url}/v1/text-to-speech/{voice}/stream/with-timestamps.

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
        self._errors = ErrorMap(name, key)
        timeout = max(first_byte_timeout, between_bytes_timeout)
        self._http = httpx.AsyncClient(timeout=timeout, limits=CONNECTIONS)
        self._models = f"{base_url.rstrip('/')}/v1/models"
        self._headers = {"xi-api-key": key}
        self._connections = Connections(self._errors, renew=self._renew, close=self._http.aclose)
        self._stream = SpeechStream(
            self._connections,
            self._errors,
            raised=ELEVENLABS_ERRORS,
            mapped=self._errors.from_elevenlabs,
            first_byte_timeout=first_byte_timeout,
            between_bytes_timeout=between_bytes_timeout,
        )
        self._sdk = AsyncElevenLabs(api_key=key, base_url=base_url, timeout=timeout, httpx_client=self._http)
        # The SDK imports a resource when it is first asked for; that is not to happen within a call.
        self._speech = self._sdk.text_to_speech.with_raw_response
        self._told: Told = told_nobody

    def telling(self, told: Told) -> ElevenLabsSpeech:
        """See TellsUsage.telling."""
        teller = copy.copy(self)
        teller._told = told
        return teller

    async def stream(
        self, text: str, *, sample_rate: int, voice: str, language: str
    ) -> AsyncGenerator[bytes | SaidUntil, None]:
        """See TextToSpeech.stream. Text without a letter or digit is silence: no audio, no request.

        Raises ValueError for a rate other than 8000 or 16000 Hz.
        """
        if sample_rate not in CALL_RATES:
            raise ValueError(f"{self.name}: speech at 8000 or 16000 Hz, not at {sample_rate} Hz")
        if not any(character.isalnum() for character in text):
            return
        aligned = AlignedAudio(text, sample_rate)
        lines = self._stream.pieces(
            lambda: self._speech.stream_with_timestamps(
                quote(voice or self._default_voice, safe=""),
                text=text,
                model_id=self._model,
                output_format="pcm_8000" if sample_rate == 8000 else "pcm_16000",
                language_code=language or None,
            ),
            self._lines,
        )
        async with aclosing(lines):
            async for line in lines:
                try:
                    items = aligned.feed(line)
                except ValueError as error:
                    raise self._errors.failed(f"the answer can't be read: {error}") from None
                for item in items:
                    yield item
        if not aligned.ms:
            raise self._errors.failed("the answer held no audio")

    async def warm(self) -> None:
        """Open a connection. Raises ProviderError, also for a key that is not accepted."""
        deadline = asyncio.get_running_loop().time() + self._first_byte_timeout
        with self._connections.request():
            try:
                async with self._connections.until(deadline, "the list of models", self._first_byte_timeout):
                    await self._sdk.models.list(request_options=NO_RETRIES)
            except ELEVENLABS_ERRORS as error:
                # A restricted key may not list models, and still may speak.
                if isinstance(error, ApiError) and lacks_scope(*elevenlabs_detail(error.body)):
                    return
                raise self._errors.from_elevenlabs(error) from None

    async def aclose(self) -> None:
        """Close the connections, running requests included."""
        await self._connections.aclose()

    async def _renew(self) -> None:
        # Any answer will do, and one without a body is the smallest.
        with suppress(httpx.HTTPError, OSError):
            await self._http.head(self._models, headers=self._headers)

    def _lines(self, answer: AsyncHttpResponse[object]) -> AsyncIterator[str]:
        kind = answer.headers.get("content-type", "")
        if kind.startswith("text/html"):
            raise self._errors.failed(f"audio expected, the answer is {kind}")
        self._told(of_characters(answer.headers.get("character-cost")))
        # Not `answer.data`: the SDK leaves out what it can't read, and takes 0.5 ms for each piece that it can.
        return answer._response.aiter_lines()
