"""Speech that is made before it is known to be needed."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ai_worker.providers.base import ProviderError, SaidUntil
from callbus import tracing


class SpeechAhead:
    """Pulls one sentence's audio from `speech` at once, in `context`, and keeps it until `stream` asks for it."""

    def __init__(
        self, text: str, speech: AsyncGenerator[bytes | SaidUntil, None], context: contextvars.Context | None = None
    ) -> None:
        self.text = text
        self.failed = False
        self._pieces: asyncio.Queue[bytes | SaidUntil | ProviderError | None] = asyncio.Queue()
        self._making = asyncio.create_task(self._make(speech), context=context)

    async def stream(self) -> AsyncGenerator[bytes | SaidUntil, None]:
        """What there is, and the rest as it comes. Raises ProviderError."""
        try:
            while (piece := await self._pieces.get()) is not None:
                if isinstance(piece, ProviderError):
                    raise piece
                yield piece
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Stop making it."""
        self._making.cancel()
        await asyncio.wait([self._making])

    async def _make(self, speech: AsyncGenerator[bytes | SaidUntil, None]) -> None:
        try:
            with tracing.working("tts", {"tts.ahead": True}):
                async with aclosing(speech):
                    async for pcm in speech:
                        self._pieces.put_nowait(pcm)
            self._pieces.put_nowait(None)
        except ProviderError as error:
            self.failed = True
            self._pieces.put_nowait(error)
