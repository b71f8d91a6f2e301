"""What a text-to-speech stream gives, as tests look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ai_worker.providers.base import SaidUntil, TextToSpeech

SENTENCE = "Good morning, what can I do for you?"


async def audio(stream: AsyncIterator[bytes | SaidUntil]) -> list[bytes]:
    """Its pieces of sound."""
    return [piece async for piece in stream if isinstance(piece, bytes)]


async def next_audio(stream: AsyncIterator[bytes | SaidUntil]) -> bytes:
    """Its next piece of sound. Raises StopAsyncIteration."""
    while not isinstance(piece := await anext(stream), bytes):
        pass
    return piece


async def spoken(
    speech: TextToSpeech, text: str = SENTENCE, *, rate: int = 8000, voice: str = "", language: str = "en"
) -> list[bytes]:
    """The pieces of sound in which `speech` says the text, at `rate` Hz."""
    return await audio(speech.stream(text, sample_rate=rate, voice=voice, language=language))
