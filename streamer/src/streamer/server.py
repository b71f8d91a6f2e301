"""The streamer's port: who is connected, who may come in, and what else is asked there over plain HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from streamer.connection import MediaConnection
from streamer.context import Context
from streamer.gate import Admission, Gate, Refusal
from streamer.pages import Page
from streamer.refusals import CALL_IS_OVER

SWEEP_EVERY_S = 1.0
HANDSHAKES_MAX = 512
"""Connections at a time that have not shown yet what they are. More: the oldest goes, since an honest one takes
milliseconds."""

log = structlog.get_logger()


class MediaServer:
    """All connections of one streamer. `pages` are the plain HTTP answers by path."""

    def __init__(self, context: Context, gate: Gate, pages: dict[str, Callable[[], Page]]) -> None:
        self.context = context
        self.gate = gate
        self.pages = pages
        self.draining = False
        self.connections: set[MediaConnection] = set()
        self.handshakes: dict[MediaConnection, None] = {}
        """Those without a session yet, the oldest first."""
        self._server: asyncio.Server | None = None

    async def listen(self) -> int:
        """Open the port, and tell which. Raises OSError."""
        settings = self.context.settings
        self._server = await asyncio.get_running_loop().create_server(
            lambda: MediaConnection(self), settings.streamer_host, settings.streamer_port, backlog=1024
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def aclose(self) -> None:
        """Close the port and what is still connected."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()
        if self._server is not None:
            await self._server.wait_closed()

    def refuses(self, admission: Admission) -> Refusal | None:
        """Why this call can't come in now; None if it can. One that is ours may always come back.

        To a media server a 403 is final: who reconnects after every close stays away then.
        """
        call_id, context = admission.call_id, self.context
        if call_id is not None and call_id in context.by_call:
            return None
        if call_id is not None and context.over.knock(call_id, asyncio.get_running_loop().time()):
            return Refusal(403, CALL_IS_OVER)
        if self.draining:
            return Refusal(503, "this streamer is about to stop")
        if len(context.sessions) >= context.settings.streamer_max_calls:
            return Refusal(503, "this streamer is full")
        return None

    def arrived(self, connection: MediaConnection) -> None:
        """A connection was made; what it wants is not known yet."""
        self.connections.add(connection)
        self.handshakes[connection] = None
        if len(self.handshakes) > HANDSHAKES_MAX:
            next(iter(self.handshakes)).drop_handshake()

    def left(self, connection: MediaConnection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self.handshakes.pop(connection, None)

    async def sweep(self) -> None:
        """Once a second, until cancelled: ping the silent, drop the dead."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_EVERY_S)
            now = loop.time()
            for connection in list(self.connections):
                connection.check(now)
