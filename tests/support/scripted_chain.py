"""Providers that do as the test says, chains of them, and what a chain gives out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

from ai_worker.providers.attempts import Counts, Link
from ai_worker.providers.base import (
    ChatMessage,
    ProviderError,
    TextDelta,
    ToolCall,
    ToolSpec,
    Transcript,
)
from ai_worker.providers.chain import LlmChain, SttChain, TtsChain
from support.speech_stream import audio

HI = (ChatMessage("user", "Hi"),)
# Far above what an answer at once takes, far below what a test may take.
DEADLINE = 0.2


Step = str | float | ProviderError
"""A piece of text, a pause in seconds, or a failure."""


class Scripted:
    """A provider of all three seams; each request takes the next script, the last one for good."""

    def __init__(self, name: str, *scripts: Sequence[Step]) -> None:
        self.name = name
        self.scripts = list(scripts) or [["ok"]]
        self.asked: list[tuple[str, str]] = []
        self.ended = 0
        self.warmed = self.closed = 0
        self.cannot_warm: ProviderError | None = None

    async def _steps(self, voice: str = "", language: str = "") -> AsyncGenerator[str, None]:
        self.asked.append((voice, language))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            for step in script:
                if isinstance(step, ProviderError):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.ended += 1

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
        async with contextlib.aclosing(self._steps(language=language)) as steps:
            return Transcript("".join([step async for step in steps]))

    async def warm(self) -> None:
        self.warmed += 1
        if self.cannot_warm:
            raise self.cannot_warm

    async def aclose(self) -> None:
        self.closed += 1


class ScriptedChat(Scripted):
    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[TextDelta | ToolCall, None]:
        async with contextlib.aclosing(self._steps()) as steps:
            async for step in steps:
                yield TextDelta(step)


class ScriptedVoice(Scripted):
    """A step is its own audio: its letters, each 10 ms at 8000 Hz."""

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(self._steps(voice, language)) as steps:
            async for step in steps:
                yield b"".join(bytes([letter]) * 160 for letter in step.encode())


def stt_chain(*providers: Scripted, counts: Counts | None = None) -> SttChain:
    return SttChain([Link(p.name, p) for p in providers], deadline=DEADLINE, counts=counts)


def llm_chain(*providers: ScriptedChat, counts: Counts | None = None) -> LlmChain:
    return LlmChain([Link(p.name, p) for p in providers], deadline=DEADLINE, counts=counts)


def tts_chain(*providers: ScriptedVoice, counts: Counts | None = None) -> TtsChain:
    return TtsChain([Link(p.name, p) for p in providers], deadline=DEADLINE, counts=counts)


async def transcript(chain: SttChain, language: str = "en", seconds: float = 0.1) -> str:
    return (await chain.transcribe(bytes(round(16000 * seconds)), 8000, language=language)).text


async def answer(chain: LlmChain) -> str:
    return "".join([delta.text async for delta in chain.stream(HI) if isinstance(delta, TextDelta)])


async def spoken(chain: TtsChain, voice: str = "", language: str = "en") -> str:
    stream = chain.stream("Hello.", sample_rate=8000, voice=voice, language=language)
    return b"".join(await audio(stream))[::160].decode()


def down(name: str = "a") -> ProviderError:
    return ProviderError(name, "HTTP 500", retryable=True)
