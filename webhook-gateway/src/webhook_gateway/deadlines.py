"""uvicorn's HTTP protocol with an end to everything that a client may draw out: its request, its reading of the answer.

uvicorn itself waits for ever for a request's first line, and for a client to read.
"""

from __future__ import annotations

import asyncio
import time

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

HEAD_TIMEOUT_S = 5.0
"""From the connection, or a request's first byte, to the end of its headers."""
REQUEST_TIMEOUT_S = 30.0
"""From there to the end of the answer. A body has less: see intake."""

SENT_AT = "webhook_gateway.sent_at"
"""In an ASGI scope: when (monotonic s) the last piece of an answer went out that may take longer than a request's time.
Its client has that time for each piece instead."""

log = structlog.get_logger(__name__)


class DeadlineProtocol(H11Protocol):
    """Cuts a connection off whose client takes too long."""

    _deadline: asyncio.TimerHandle | None = None
    _answering = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect(HEAD_TIMEOUT_S)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()
        if self._deadline is None:
            self._expect(HEAD_TIMEOUT_S)

    def on_response_complete(self) -> None:
        self._calm()
        self._answering = False
        super().on_response_complete()
        self._look()
        # An open connection without a request is uvicorn's keep-alive's matter.
        if self._deadline is None and self.transport.is_closing():
            self._expect(HEAD_TIMEOUT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._calm()

    def _look(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if not self._answering and cycle is not None and not cycle.response_complete:
            self._answering = True
            self._expect(REQUEST_TIMEOUT_S)

    def _expect(self, seconds: float) -> None:
        self._calm()
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _calm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        sent_at = self.cycle.scope.get(SENT_AT) if self._answering and self.cycle is not None else None
        if isinstance(sent_at, float) and time.monotonic() - sent_at < REQUEST_TIMEOUT_S:
            self._expect(REQUEST_TIMEOUT_S)
            return
        log.debug("a client took too long", peer=self.client[0] if self.client else "", answering=self._answering)
        self.transport.abort()
