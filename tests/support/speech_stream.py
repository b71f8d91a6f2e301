"""What a text-to-speech stream gives, as tests look at it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ai_worker.providers.base import SaidUntil


async def audio(stream: AsyncIterator[bytes | SaidUntil]) -> list[bytes]:
    """Its pieces of sound."""
    return [piece async for piece in stream if isinstance(piece, bytes)]


async def next_audio(stream: AsyncIterator[bytes | SaidUntil]) -> bytes:
    """Its next piece of sound. Raises StopAsyncIteration."""
    while not isinstance(piece := await anext(stream), bytes):
        pass
    return piece
