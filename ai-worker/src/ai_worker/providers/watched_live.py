"""A live transcription whose outcomes the chain's breaker and counters hear of."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from functools import partial
from typing import Any

from ai_worker.providers.attempts import Attempts
from ai_worker.providers.base import LiveTranscription, ProviderTimeout, SpeechToText
from ai_worker.providers.usage import Amount
from callbus.pcm import duration_ms


class WatchedLive:
    """A LiveTranscription around `live`; a commit's answer must come within `deadline` s.

    `attempts` gives, for each commit, the one attempt that is made at it. What was fed, at `sample_rate` Hz, is what it
    uses: a live transcription tells nothing itself.
    """

    def __init__(
        self,
        live: LiveTranscription,
        attempts: Callable[[], Attempts[SpeechToText]],
        deadline: float,
        sample_rate: int,
    ) -> None:
        self._live = live
        self._attempts = attempts
        self._deadline = deadline
        self._rate = sample_rate
        self._fed = 0

    @property
    def usable(self) -> bool:
        return self._live.usable

    def feed(self, pcm: bytes) -> None:
        """See LiveTranscription.feed."""
        self._live.feed(pcm)
        self._fed += len(pcm)

    def commit(self) -> Awaitable[str]:
        """See LiveTranscription.commit."""
        self._report_fed()
        return _Lazily(partial(self._answered, self._live.commit()))

    async def aclose(self) -> None:
        self._report_fed()
        await self._live.aclose()

    def _report_fed(self) -> None:
        fed, self._fed = self._fed, 0
        if fed:
            self._attempts().used_by_first(Amount("audio_s", duration_ms(fed, self._rate) / 1000))

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
