"""Threads for the local models: how many requests run at once, how many may wait, and which never begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from ai_worker.providers.base import ProviderError

_P = ParamSpec("_P")
_T = TypeVar("_T")


class LocalPool:
    """`workers` threads for one provider; at most `max_waiting` requests beyond those that run. For one event loop."""

    def __init__(self, provider: str, *, workers: int, max_waiting: int) -> None:
        self._provider = provider
        self._capacity = workers + max_waiting
        self._admitted = 0
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=provider)

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Holds one request's place while it runs or waits. Raises ProviderError (retryable) when there is none."""
        if self._admitted >= self._capacity:
            raise ProviderError(
                self._provider,
                f"{self._capacity} requests run or wait already, the most allowed",
                retryable=True,
            )
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    async def run(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """`work` in one of the threads. Cancelled before its turn, it never runs; after, its result is dropped.

        Raises ProviderError when the provider was closed meanwhile.
        """
        try:
            future = self._threads.submit(work, *args, **kwargs)
        except RuntimeError as error:
            raise ProviderError(self._provider, "it was closed", retryable=False) from error
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Nobody cancelled the caller: the pool was closed with the request still waiting.
            raise ProviderError(self._provider, "it was closed", retryable=False) from None

    async def aclose(self) -> None:
        """Waits for what runs (a second at most with these models); what waits never runs."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
