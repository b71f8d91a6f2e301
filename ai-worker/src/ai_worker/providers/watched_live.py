"""A live transcription whose outcomes the chain's breaker and counters hear of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any

from ai_worker.providers.attempts import Attempts
from ai_worker.providers.base import LiveTranscription, ProviderTimeout, SpeechToText


class WatchedLive:
    """A LiveTranscription around `live`; a commit's answer must come within `deadline` s.

    `attempts` gives, for each commit, the one attempt that is made at it.
    """

    def __init__(
        self, live: LiveTranscription, attempts: Callable[[], Attempts[SpeechToText]], deadline: float
    ) -> None:
        self._live = live
        self._attempts = attempts
        self._deadline = deadline

    @property
    def usable(self) -> bool:
        return self._live.usable

    def feed(self, pcm: bytes) -> None:
        """See LiveTranscription.feed."""
        self._live.feed(pcm)

    def commit(self) -> Awaitable[str]:
        """See LiveTranscription.commit."""
        return _Lazily(partial(self._answered, self._live.commit()))

    async def aclose(self) -> None:
        await self._live.aclose()

    async def _answered(self, answer: Awaitable[str]) -> str:
        attempts = self._attempts()
        for attempt in attempts:
            with attempt:
                try:
                    async with asyncio.timeout(self._deadline):
                        return await answer
                except TimeoutError:
                    reason = f"the final words did not come within {self._deadline:g} s"
                    raise ProviderTimeout(attempt.provider.name, reason) from None
        raise attempts.error


class _Lazily:
    """A coroutine that need not be awaited."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, str]]) -> None:
        self._work = work

    def __await__(self) -> Generator[Any, Any, str]:
        return self._work().__await__()
