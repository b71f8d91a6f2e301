"""Speech-to-text by OpenAI, or a server that speaks its audio transcriptions API."""

from __future__ import annotations

import asyncio
import copy
import io
import wave

from openai import omit
from pydantic import BaseModel

from ai_worker.providers._http_errors import OPENAI_ERRORS
from ai_worker.providers._openai_client import OPENAI_URL, OpenAiClient
from ai_worker.providers._text import sendable
from ai_worker.providers.base import ProviderError, ProviderTimeout, Transcript
from ai_worker.providers.usage import Told, of_transcription, told_nobody

# The API refuses shorter audio, and nobody says a word in less.
SHORTEST_AUDIO_S = 0.1
RETRY_PAUSE_S = 0.1
# A second attempt with less time than this would only end in a time-out.
SHORTEST_ATTEMPT_S = 0.5


class OpenAiTranscription:
    """A SpeechToText over POST {base_url}/audio/transcriptions.

    `streaming` asks for the transcript as server-sent events; None decides by the model (the "…-transcribe" models
    stream, whisper-1 doesn't). `prompt` biases the words (names, spelling). Times are in seconds: `timeout` is for
    the whole of it, a second attempt after a retryable error included; a server that asks for a pause longer than
    `longest_pause` gets no second attempt. Raises ValueError for a key that can't be sent.
    """

    def __init__(
        self,
        *,
        api_key: str,
        model: str = "gpt-4o-mini-transcribe",
        base_url: str = OPENAI_URL,
        name: str = "openai-stt",
        prompt: str = "",
        streaming: bool | None = None,
        connect_timeout: float = 2.0,
        timeout: float = 5.0,
        longest_pause: float = 5.0,
    ) -> None:
        self.name = name
        self._longest_pause = longest_pause
        self._model = model
        self._prompt = prompt or omit
        self._streaming = model.endswith("-transcribe") if streaming is None else streaming
        self._timeout = timeout
        self._client = OpenAiClient(
            name, api_key=api_key, base_url=base_url, connect_timeout=connect_timeout, read_timeout=timeout
        )
        self._errors = self._client.errors
        # The SDK imports a resource when it is first asked for; that is not to happen within a call.
        self._transcriptions = self._client.sdk.audio.transcriptions
        self._told: Told = told_nobody

    def telling(self, told: Told) -> OpenAiTranscription:
        """See TellsUsage.telling."""
        teller = copy.copy(self)
        teller._told = told
        return teller

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
        """See SpeechToText.transcribe; audio under 0.1 s is an empty transcript without a request."""
        if len(pcm) < 2 * sample_rate * SHORTEST_AUDIO_S:
            return Transcript("")
        wav = _wav(pcm, sample_rate)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        try:
            return await self._attempt(wav, language, deadline)
        except ProviderError as error:
            pause = RETRY_PAUSE_S if error.retry_after is None else error.retry_after
            if (
                not error.retryable
                or isinstance(error, ProviderTimeout)
                or pause > self._longest_pause
                or loop.time() + pause + SHORTEST_ATTEMPT_S > deadline
            ):
                raise
        await asyncio.sleep(pause)
        return await self._attempt(wav, language, deadline)

    async def warm(self) -> None:
        """Open a connection. Raises ProviderError, also for a key that is not accepted."""
        await self._client.warm(self._timeout)

    async def aclose(self) -> None:
        """Close the connections, running requests included."""
        await self._client.aclose()

    async def _attempt(self, wav: bytes, language: str, deadline: float) -> Transcript:
        connections = self._client.connections
        with connections.request():
            try:
                async with connections.until(deadline, "the transcript", self._timeout):
                    text = await (self._streamed(wav, language) if self._streaming else self._whole(wav, language))
            except OPENAI_ERRORS as error:
                raise self._errors.from_openai(error) from None
        return Transcript(sendable(text).strip())

    async def _whole(self, wav: bytes, language: str) -> str:
        answer = await self._transcriptions.create(
            file=("utterance.wav", wav, "audio/wav"),
            model=self._model,
            language=language or omit,
            prompt=self._prompt,
            response_format="json",
        )
        self._tell(answer.usage)
        return answer.text

    async def _streamed(self, wav: bytes, language: str) -> str:
        events = await self._transcriptions.create(
            file=("utterance.wav", wav, "audio/wav"),
            model=self._model,
            language=language or omit,
            prompt=self._prompt,
            response_format="json",
            stream=True,
        )
        text: str | None = None
        try:
            # To the end of the stream, so that the connection can be used again.
            async for event in events:
                if event.type == "transcript.text.done":
                    text = event.text
                    self._tell(event.usage)
        finally:
            await events.close()
        if text is None:
            raise self._errors.failed("the stream ended without a transcript (a server that can't: streaming=False)")
        return text

    def _tell(self, usage: BaseModel | None) -> None:
        # What a compatible server sends is not checked by the SDK: it may be no model at all.
        self._told(of_transcription(usage.model_dump() if isinstance(usage, BaseModel) else usage))


def _wav(pcm: bytes, sample_rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setnchannels(1)
        audio.setsampwidth(2)
        audio.setframerate(sample_rate)
        audio.writeframes(pcm)
    return file.getvalue()
