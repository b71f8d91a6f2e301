"""The seams between the conversation and the providers of speech and language, and the errors they may raise."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable


class ProviderError(Exception):
    """A provider did not deliver.

    `provider` names it, `retryable` says whether the same request may succeed a moment later (a time-out, a 429, a
    5xx, a lost connection) or never will (a wrong key, a refused request); `retry_after` is in seconds.
    """

    def __init__(self, provider: str, reason: str, *, retryable: bool, retry_after: float | None = None) -> None:
        super().__init__(f"{provider}: {reason}")
        self.provider = provider
        self.reason = reason
        self.retryable = retryable
        self.retry_after = retry_after


class ProviderTimeout(ProviderError):
    """A provider's answer, or its next piece, came later than its deadline."""

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(provider, reason, retryable=True)


class ProviderRefused(ProviderError):
    """A provider refused the request for good: a parameter it doesn't take, a language it doesn't know."""

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(provider, reason, retryable=False)


class ProviderDenied(ProviderRefused):
    """A provider refuses this account whatever is asked: a key that is not accepted, no credit left."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a caller said, as text; empty when there were no words (noise, a cough, a tone)."""

    text: str


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of the conversation as a chat model takes it.

    `tool_calls` (assistant only) and `tool_call_id` (tool only) follow the chat completions API.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asks for; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that the model may ask for; `parameters` is a JSON schema object."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the model's text."""

    text: str


@dataclass(frozen=True, slots=True)
class SaidUntil:
    """The first `chars` characters of the text, which end with a word, are said when `ms` of the audio are heard."""

    chars: int
    ms: int


class SpeechToText(Protocol):
    """Turns one utterance into text."""

    @property
    def name(self) -> str: ...

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
        """`pcm` is s16le mono at `sample_rate` Hz (8000 or 16000), `language` an ISO 639-1 code such as "en".

        Raises ProviderError.
        """
        ...

    async def warm(self) -> None:
        """Load models or open connections, so that the first call doesn't pay for it. Raises ProviderError."""
        ...

    async def aclose(self) -> None: ...


OnText: TypeAlias = Callable[[int, str], None]
"""Told the number of a stretch (from 0; every commit ends one) and all that is understood of it so far."""


class LiveTranscription(Protocol):
    """One caller, heard while they speak: stretch after stretch of audio, each ended by a commit."""

    @property
    def usable(self) -> bool:
        """False once it hears nothing any more; `commit` says why."""
        ...

    def feed(self, pcm: bytes) -> None:
        """The next audio of the stretch. Never waits and never raises; the audio is kept until it can be sent."""
        ...

    def commit(self) -> Awaitable[str]:
        """End the stretch with what was fed by now; await the answer for its final words: that raises ProviderError."""
        ...

    async def aclose(self) -> None: ...


@runtime_checkable
class LiveSpeechToText(Protocol):
    """What a SpeechToText can do besides when it hears audio as it is spoken."""

    def open_live(self, sample_rate: int, *, language: str, on_text: OnText) -> LiveTranscription:
        """Begin to listen; connecting goes on in the background. Parameters as for SpeechToText.transcribe."""
        ...


class LanguageModel(Protocol):
    """Writes the answer, piece by piece."""

    @property
    def name(self) -> str: ...

    def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[TextDelta | ToolCall, None]:
        """Text as it comes; tool calls, each whole, when they are complete.

        Closing the iterator early cancels the request. Raises ProviderError, also in the middle.
        """
        ...

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


class TextToSpeech(Protocol):
    """Speaks a sentence."""

    @property
    def name(self) -> str: ...

    def stream(
        self, text: str, *, sample_rate: int, voice: str, language: str
    ) -> AsyncGenerator[bytes | SaidUntil, None]:
        """Speech as s16le mono at `sample_rate` Hz (8000 or 16000), in pieces of any even length, as it is made.

        Where the provider knows, its words stand between the pieces, each no later than its audio. `voice` is the
        provider's own name of a voice; "" is its default. Closing the iterator early cancels the request. Raises
        ProviderError, also in the middle.
        """
        ...

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...
