"""The body of a text-to-speech answer, piece by piece, each piece by its deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import TypeVar

from ai_worker.providers._connections import Connections
from ai_worker.providers._http_errors import ErrorMap, is_stale_connection
from ai_worker.providers.base import ProviderError

CALL_RATES = (8000, 16000)


R = TypeVar("R")
T = TypeVar("T")


class SpeechStream:
    """Of one provider, for all its requests.

    Times are in seconds: `first_byte_timeout` counts from the request, connecting included; `between_bytes_timeout`
    from one piece to the next. `raised` is what the SDK raises, and `mapped` makes a ProviderError of it.
    """

    def __init__(
        self,
        connections: Connections,
        errors: ErrorMap,
        *,
        raised: tuple[type[Exception], ...],
        mapped: Callable[[Exception], ProviderError],
        first_byte_timeout: float,
        between_bytes_timeout: float,
    ) -> None:
        self._connections = connections
        self._errors = errors
        self._raised = raised
        self._mapped = mapped
        self._first_byte_timeout = first_byte_timeout
        self._between_bytes_timeout = between_bytes_timeout

    async def pieces(
        self,
        request: Callable[[], AbstractAsyncContextManager[R]],
        body: Callable[[R], AsyncIterator[T]],
    ) -> AsyncGenerator[T, None]:
        """Send a request, and give what `body` finds in its answer. Closing this early cancels the request.

        A connection that turns out to be dead before the answer began costs one more try. Raises ProviderError.
        """
        loop = asyncio.get_running_loop()
        allowed = self._first_byte_timeout
        deadline = loop.time() + allowed
        begun = False
        with self._connections.request():
            async with AsyncExitStack() as stack:
                pieces = body(await self._open(stack, request, deadline))
                while (piece := await self._next(pieces, deadline, allowed, begun=begun)) is not None:
                    begun = True
                    yield piece
                    allowed = self._between_bytes_timeout
                    deadline = loop.time() + allowed
            if not begun:
                raise self._errors.failed("the answer held no audio")

    async def _open(
        self, stack: AsyncExitStack, request: Callable[[], AbstractAsyncContextManager[R]], deadline: float
    ) -> R:
        stale_seen = False
        while True:
            try:
                async with self._connections.until(deadline, "the first audio", self._first_byte_timeout):
                    return await stack.enter_async_context(request())
            except self._raised as error:
                if stale_seen or not is_stale_connection(error):
                    raise self._mapped(error) from None
                stale_seen = True

    async def _next(self, pieces: AsyncIterator[T], deadline: float, allowed: float, *, begun: bool) -> T | None:
        try:
            async with self._connections.until(deadline, "the next audio" if begun else "the first audio", allowed):
                return await anext(pieces, None)
        except self._raised as error:
            raise self._mapped(error) from None
