"""One provider's connections: one is warm when the next request comes, and none is left when the provider is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

from ai_worker.providers._http_errors import ErrorMap
from ai_worker.providers.base import ProviderError, ProviderRefused

# Servers, and what stands before them, close a connection that was idle for a minute (ALB) or more.
IDLE_S = 40.0
# So many cancelled requests at once are made good; beyond that the calls open their connections themselves.
MOST_RENEWED_AT_ONCE = 8
RENEWING_TIMEOUT_S = 5.0


class Connections:
    """Around every request of a provider, whose client keeps a pool of connections.

    HTTP/1.1 ends a request early by closing its connection, and a server closes one that is idle: the next turn would
    pay for TCP and TLS once more. So `renew`, which sends the least that there is to send, opens another one in the
    background: after a request that was cut off, and after `idle` s without any (None: never).
    """

    def __init__(
        self,
        errors: ErrorMap,
        *,
        renew: Callable[[], Coroutine[Any, Any, None]] | None,
        close: Callable[[], Awaitable[None]],
        idle: float | None = IDLE_S,
    ) -> None:
        self._errors = errors
        self._renew = renew
        self._close = close
        self._idle = idle
        self._closed = False
        self._deadlines: set[asyncio.Timeout] = set()
        self._nothing_awaited = asyncio.Event()
        self._nothing_awaited.set()
        self._renewing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def request(self) -> Iterator[None]:
        """Around one request, from before it is sent until its answer was read, or given up."""
        try:
            yield
        except ProviderRefused:
            self._wait()
            raise
        except BaseException:
            self.renew()
            raise
        self._wait()

    @asynccontextmanager
    async def until(self, deadline: float, awaited: str, seconds: float) -> AsyncIterator[None]:
        """`awaited` must be there at `deadline` (the loop's time), `seconds` after it was asked for.

        Raises ProviderTimeout; ProviderError when the provider is closed meanwhile.
        """
        if self._closed:
            raise self._errors.refused("it was closed")
        scope = asyncio.timeout_at(deadline)
        try:
            async with scope:
                self._deadlines.add(scope)
                self._nothing_awaited.clear()
                yield
        except TimeoutError:
            if self._closed:
                raise self._errors.refused("it was closed") from None
            raise self._errors.timeout(awaited, seconds) from None
        finally:
            self._deadlines.discard(scope)
            if not self._deadlines:
                self._nothing_awaited.set()

    def renew(self) -> None:
        """Have another connection opened in the background."""
        if self._closed or self._renew is None or len(self._renewing) >= MOST_RENEWED_AT_ONCE:
            return
        task = asyncio.create_task(self._open_another(self._renew))
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)

    async def aclose(self) -> None:
        """End the requests under way and close every connection, also when this is itself cancelled."""
        self._closed = True
        closing = asyncio.create_task(self._end())
        try:
            await asyncio.shield(closing)
        finally:
            await asyncio.wait([closing])

    async def _open_another(self, renew: Callable[[], Coroutine[Any, Any, None]]) -> None:
        # Why it failed, the next request will say.
        with suppress(ProviderError):
            deadline = asyncio.get_running_loop().time() + RENEWING_TIMEOUT_S
            async with self.until(deadline, "another connection", RENEWING_TIMEOUT_S):
                await renew()
        self._wait()

    def _wait(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._renew is not None and self._idle is not None and not self._closed:
            self._timer = asyncio.get_running_loop().call_later(self._idle, self.renew)

    async def _end(self) -> None:
        if self._timer:
            self._timer.cancel()
        # A pool forgets its connections when it is closed: one that is opened just then would stay open for ever.
        now = asyncio.get_running_loop().time()
        for deadline in self._deadlines:
            if not deadline.expired():
                deadline.reschedule(now)
        await self._nothing_awaited.wait()
        if self._renewing:
            await asyncio.wait(self._renewing)
        await self._close()
