"""Streaming text-to-speech by OpenAI, or a server that speaks its audio speech API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import numpy as np
import samplerate
from numpy.typing import NDArray
from openai import AsyncAPIResponse, omit

from ai_worker.providers._http_errors import OPENAI_ERRORS
from ai_worker.providers._openai_client import OPENAI_URL, OpenAiClient
from ai_worker.providers._speech_stream import CALL_RATES, SpeechStream

# What the API calls "pcm": 24 kHz s16le mono, without a header.
API_RATE = 24000
# Silence that pushes the filter's last 2.5 ms out, with room.
FLUSH = np.zeros(API_RATE // 100, np.float32)


class OpenAiSpeech:
    """A TextToSpeech over POST {base_url}/audio/speech.

    The API has no language: models that take instructions are told it, the tts-1 models go by the text alone.
    Times are in seconds: `first_byte_timeout` counts from the request, connecting included; `between_bytes_timeout`
    from one piece of audio to the next. Raises ValueError for a key that can't be sent.
    """

    def __init__(
        self,
        *,
        api_key: str,
        model: str = "gpt-4o-mini-tts",
        default_voice: str = "alloy",
        base_url: str = OPENAI_URL,
        name: str = "openai-tts",
        connect_timeout: float = 2.0,
        first_byte_timeout: float = 4.0,
        between_bytes_timeout: float = 2.0,
    ) -> None:
        self.name = name
        self._model = model
        self._instructed = not model.startswith("tts-1")
        self._default_voice = default_voice
        self._first_byte_timeout = first_byte_timeout
        self._client = OpenAiClient(
            name,
            api_key=api_key,
            base_url=base_url,
            connect_timeout=connect_timeout,
            read_timeout=max(first_byte_timeout, between_bytes_timeout),
        )
        self._errors = self._client.errors
        self._stream = SpeechStream(
            self._client.connections,
            self._errors,
            raised=OPENAI_ERRORS,
            mapped=self._errors.from_openai,
            first_byte_timeout=first_byte_timeout,
            between_bytes_timeout=between_bytes_timeout,
        )
        # The SDK imports a resource when it is first asked for; that is not to happen within a call.
        self._speech = self._client.sdk.audio.speech.with_streaming_response

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes]:
        """See TextToSpeech.stream. Text without a letter or digit is silence: no audio, no request.

        Raises ValueError for a rate other than 8000 or 16000 Hz.
        """
        if sample_rate not in CALL_RATES:
            raise ValueError(f"{self.name}: speech at 8000 or 16000 Hz, not at {sample_rate} Hz")
        if not any(character.isalnum() for character in text):
            return
        told = f"Speak the language with the ISO 639-1 code {language}." if language and self._instructed else omit
        audio = _ToCallRate(sample_rate)
        pieces = self._stream.pieces(
            lambda: self._speech.create(
                model=self._model,
                voice=voice or self._default_voice,
                input=text,
                instructions=told,
                response_format="pcm",
            ),
            self._body,
        )
        async with aclosing(pieces):
            async for data in pieces:
                if pcm := audio.feed(data):
                    yield pcm
        if pcm := audio.rest():
            yield pcm

    async def warm(self) -> None:
        """Open a connection. Raises ProviderError, also for a key that is not accepted."""
        await self._client.warm(self._first_byte_timeout)

    async def aclose(self) -> None:
        """Close the connections, running requests included."""
        await self._client.aclose()

    def _body(self, answer: AsyncAPIResponse[bytes]) -> AsyncIterator[bytes]:
        kind = answer.headers.get("content-type", "")
        # Played to the caller, a proxy's error page would be noise.
        if kind.startswith(("text/", "application/json")):
            raise self._errors.failed(f"audio expected, the answer is {kind}")
        return answer.iter_bytes()


class _ToCallRate:
    """From the API's rate to the call's, piece by piece, as one sound: no seam between pieces of any length."""

    def __init__(self, sample_rate: int) -> None:
        self._ratio = sample_rate / API_RATE
        self._resampler = samplerate.Resampler("sinc_fastest", channels=1)
        self._odd = b""
        self._samples_in = 0
        self._samples_out = 0

    def feed(self, data: bytes) -> bytes:
        """s16le at the API's rate, also half samples; what comes out is whole samples, 2.5 ms behind."""
        audio = self._odd + data
        whole = len(audio) - len(audio) % 2
        self._odd = audio[whole:]
        samples = np.frombuffer(audio[:whole], "<i2").astype(np.float32) * np.float32(1 / 32768)
        self._samples_in += len(samples)
        return self._convert(samples)

    def rest(self) -> bytes:
        """What the filter still holds."""
        return self._convert(FLUSH, end=True)

    def _convert(self, samples: NDArray[np.float32], *, end: bool = False) -> bytes:
        if not len(samples):
            return b""
        resampled = self._resampler.process(samples, self._ratio, end_of_input=end)
        due = round(self._samples_in * self._ratio) - self._samples_out
        resampled = resampled[:due]
        self._samples_out += len(resampled)
        # Clipped, since a resampled peak can be above 1 and would wrap around.
        return bytes(np.clip(np.rint(resampled * 32767), -32768, 32767).astype("<i2").tobytes())
