"""Tells of the connections that were not let in: counts each, and logs once a second at most."""

from __future__ import annotations

import asyncio

import structlog

from streamer.metrics import Counters

TELL_EVERY_S = 1.0
CALL_IS_OVER = "this call is over"

log = structlog.get_logger()


class Refusals:
    """All of one streamer: who knocks ten thousand times must not write a line each."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._since = 0
        self._told_at = -TELL_EVERY_S

    def note(self, status: int, reason: str) -> None:
        """One was refused, with this HTTP status, or close code where it had shaken hands already."""
        self._counters.connections_refused += 1
        self._since += 1
        now = asyncio.get_running_loop().time()
        if now - self._told_at < TELL_EVERY_S:
            return
        # Neither path nor query: they may hold the token.
        log.warning("a connection was refused", status=status, reason=reason, refused_since=self._since)
        self._told_at, self._since = now, 0
