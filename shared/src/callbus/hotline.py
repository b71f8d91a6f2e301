"""One connection to Redis for what happens fifty times a second and call: commands packed beforehand go out in one
write, replies come as hiredis reads them. Everything else goes through redis-py: see callbus.broker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any, TypeAlias

import hiredis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import ResponseError

from callbus.errors import BusUnavailable

AWAY = (
    *("LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED", "BUSY "),
    *("OOM", "MISCONF", "NOREPLICAS", "NOAUTH", "WRONGPASS", "ERR max number of clients"),
)
"""How error replies begin of a Redis that can't be worked with now; any other is about the one command.

It may be starting, in a fail-over, full, unable to save, or closed to us.
"""
_INCOMPLETE = object()

RawEntry: TypeAlias = tuple[bytes, list[bytes]]
"""A stream entry's id, and its fields' names and values by turns."""


class HotLine:
    """Requests are answered in their order, and the next may be sent before the last one is answered.

    It connects when it is first asked, and again after it was lost. `timeout` (s) bounds connecting, and every request
    that has no other one. Raises BusUnavailable when Redis is away; what had been sent then may have been carried out.
    """

    def __init__(self, url: str, *, timeout: float = 2.0) -> None:
        self._options: dict[str, Any] = dict(parse_url(url))
        self._timeout = timeout
        self._wire: _Wire | None = None
        self._connecting: asyncio.Lock = asyncio.Lock()

    async def ask(self, request: bytes, replies: int, *, timeout: float | None = None) -> list[Any]:
        """Send `request`, so many packed commands, and give their replies; a refused command's is a ResponseError."""
        if not replies:
            return []
        wire = self._wire
        if wire is None or wire.lost is not None:
            wire = await self._connected()
        return await wire.ask(request, replies, timeout or self._timeout)

    async def read(
        self, positions: Mapping[str, bytes], *, count: int, block_ms: int | None = None
    ) -> list[tuple[str, list[RawEntry]]]:
        """XREAD: up to `count` entries of each stream that came after the given ids.

        With `block_ms` it waits so long for the first of them, and nothing else is answered meanwhile. Raises
        ResponseError for a key that holds no stream.
        """
        wait = () if block_ms is None else ("BLOCK", max(1, block_ms))
        command = ("XREAD", "COUNT", count, *wait, "STREAMS", *positions, *positions.values())
        request = hiredis.pack_command(command)
        (reply,) = await self.ask(request, 1, timeout=self._timeout + (block_ms or 0) / 1000)
        if isinstance(reply, ResponseError):
            raise reply
        return [(name.decode(), entries) for name, entries in reply or ()]

    async def aclose(self) -> None:
        """Close the connection; what is not answered yet raises BusUnavailable."""
        if self._wire is not None:
            self._wire.lose(BusUnavailable("the connection to Redis was closed"))
            await self._wire.closed
            self._wire = None

    async def _connected(self) -> _Wire:
        async with self._connecting:
            if self._wire is None or self._wire.lost is not None:
                try:
                    async with asyncio.timeout(self._timeout):
                        self._wire = await self._connect()
                except OSError as error:
                    raise BusUnavailable(f"Redis is away: {str(error) or type(error).__name__}") from error
            return self._wire

    async def _connect(self) -> _Wire:
        options, loop = self._options, asyncio.get_running_loop()
        if path := options.get("path"):
            _, wire = await loop.create_unix_connection(_Wire, path)
        else:
            secured = None
            if options.get("connection_class") is SSLConnection:
                secured = SSLConnection(**{k: v for k, v in options.items() if k.startswith("ssl_")}).ssl_context.get()
            host, port = options.get("host", "localhost"), options.get("port", 6379)
            _, wire = await loop.create_connection(_Wire, host, port, ssl=secured)
        greeting: list[tuple[Any, ...]] = []
        if password := options.get("password"):
            user = options.get("username")
            greeting.append(("AUTH", user, password) if user else ("AUTH", password))
        if database := options.get("db"):
            greeting.append(("SELECT", database))
        try:
            for command in greeting:
                (reply,) = await wire.ask(hiredis.pack_command(command), 1, self._timeout)
                if isinstance(reply, ResponseError):
                    raise BusUnavailable(f"Redis does not let us in: {reply}")
        except BaseException:
            wire.lose(BusUnavailable("the connection to Redis was given up"))
            raise
        return wire


class _Wire(asyncio.Protocol):
    """One connection, from its beginning to its end."""

    def __init__(self) -> None:
        self.lost: BusUnavailable | None = None
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = loop.create_future()
        self._call_later = loop.call_later
        self._create_future = loop.create_future
        self._transport: Any = None
        self._reader = hiredis.Reader(replyError=ResponseError, notEnoughData=_INCOMPLETE)
        self._asked: deque[tuple[asyncio.Future[list[Any]], int]] = deque()
        self._replies: list[Any] = []

    async def ask(self, request: bytes, replies: int, timeout: float) -> list[Any]:
        if self.lost is not None:
            raise self.lost
        answer: asyncio.Future[list[Any]] = self._create_future()
        self._asked.append((answer, replies))
        self._transport.write(request)
        timer = self._call_later(timeout, self._expire, timeout)
        try:
            return await answer
        finally:
            timer.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self.lost is not None:
            return
        try:
            self._reader.feed(data)
            while self._asked:
                answer, wanted = self._asked[0]
                replies, gets = self._replies, self._reader.gets
                while len(replies) < wanted:
                    reply = gets()
                    if reply is _INCOMPLETE:
                        return
                    if type(reply) is ResponseError and str(reply).startswith(AWAY):
                        self.lose(BusUnavailable(f"Redis is away: {reply}"))
                        return
                    replies.append(reply)
                self._asked.popleft()
                self._replies = []
                # Whoever asked may have been cancelled: the replies were theirs all the same.
                if not answer.done():
                    answer.set_result(replies)
        except hiredis.ProtocolError as error:
            self.lose(BusUnavailable(f"what answers is not Redis: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        self.lose(BusUnavailable(f"Redis is away: {error or 'it closed the connection'}"))
        if not self.closed.done():
            self.closed.set_result(None)

    def lose(self, why: BusUnavailable) -> None:
        """The connection is of no more use: who waits for a reply hears `why`."""
        if self.lost is None:
            self.lost = why
            self._transport.abort()
            while self._asked:
                answer, _ = self._asked.popleft()
                if not answer.done():
                    answer.set_exception(why)

    def _expire(self, timeout: float) -> None:
        self.lose(BusUnavailable(f"Redis is away: no reply within {timeout:g} s"))
