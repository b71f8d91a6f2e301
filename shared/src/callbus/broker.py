"""The connection to Redis: one place for its time-outs, its errors, and for streams as lists of entries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import hiredis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from callbus.errors import BusUnavailable
from callbus.hotline import AWAY, HotLine

# redis-py cuts the word off the errors that it has a class for; see callbus.hotline.AWAY for the others.
_AWAY = (RedisConnectionError, RedisTimeoutError, ReadOnlyError, OutOfMemoryError, OSError, asyncio.TimeoutError)
_OF_A_PIPELINE = " of pipeline caused error: "

StreamEntry = tuple[bytes, dict[bytes, bytes]]


class Broker:
    """Redis as this system uses it. Every method raises BusUnavailable when Redis is away, or takes no commands.

    `timeout` (s) bounds every command that doesn't block on purpose. The pool waits rather than fails when all
    `connections` are busy, for as long as `timeout`.
    """

    def __init__(self, url: str, *, timeout: float = 2.0, connections: int = 32) -> None:
        self._timeout = timeout
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=timeout,
            socket_timeout=None,
            socket_connect_timeout=timeout,
            socket_keepalive=True,
            health_check_interval=0,
            # Only connecting is tried again: a command that was lost on the way may have been carried out.
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 1),
            decode_responses=False,
        )
        self._redis: Any = Redis.from_pool(pool)  # redis-py's own types call half of its methods untyped
        self._url = url
        self._hot = self.hot_line()
        self._scripts: dict[str, AsyncScript] = {}

    async def aclose(self) -> None:
        await self._hot.aclose()
        await self._redis.aclose()

    def hot_line(self) -> HotLine:
        """A connection of its own, for one that reads all the time. Close it."""
        return HotLine(self._url, timeout=self._timeout)

    async def execute(self, *args: Any, timeout: float | None = None) -> Any:
        """One command, its reply as redis-py parses it (bytes, ints, lists)."""
        with bus_errors():
            async with asyncio.timeout(timeout or self._timeout):
                return await self._redis.execute_command(*args)

    async def pipeline(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Many commands in one round trip, not atomic; the first that fails raises."""
        with bus_errors():
            async with asyncio.timeout(self._timeout):
                async with self._redis.pipeline(transaction=False) as pipe:
                    for command in commands:
                        pipe.execute_command(*command)
                    result: list[Any] = await pipe.execute()
                    return result

    async def burst(self, commands: Iterable[tuple[Any, ...] | bytes]) -> list[Any]:
        """`pipeline` for the hot path, at a fraction of its cost: plain replies, errors among them as values.

        Commands may be packed already: see xadd_template.
        """
        packed = [command if type(command) is bytes else hiredis.pack_command(command) for command in commands]  # type: ignore[arg-type]
        return await self._hot.ask(b"".join(packed), len(packed))

    async def script(self, source: str, keys: list[str], args: list[Any]) -> Any:
        """A Lua script: atomic, loaded once."""
        script = self._scripts.get(source)
        if script is None:
            script = self._scripts[source] = self._redis.register_script(source)
        with bus_errors():
            async with asyncio.timeout(self._timeout):
                return await script(keys=keys, args=args)

    async def ping(self) -> None:
        await self.execute("PING")

    async def append(
        self, stream: str, fields: Mapping[bytes, bytes], *, maxlen: int, create: bool = True
    ) -> bytes | None:
        """XADD, trimmed (approximately) to `maxlen` entries; the entry's id.

        With `create` false, a stream that is gone stays gone, and None is returned.
        """
        entry_id: bytes | None = await self.execute(*xadd(stream, fields, maxlen=maxlen, create=create))
        return entry_id

    async def read(
        self, streams: Mapping[str, bytes], *, count: int = 500, block_ms: int | None = None
    ) -> dict[str, list[StreamEntry]]:
        """XREAD: what came after the given ids, by stream; empty when nothing did (within `block_ms`)."""
        args: list[Any] = ["XREAD", "COUNT", count]
        if block_ms is not None:
            args += ["BLOCK", max(1, block_ms)]
        args += ["STREAMS", *streams, *streams.values()]
        reply = await self.execute(*args, timeout=self._timeout + (block_ms or 0) / 1000)
        return {name.decode(): _entries(entries) for name, entries in reply or ()}

    async def range(
        self, stream: str, start: str | bytes = "-", end: str | bytes = "+", *, count: int | None = None
    ) -> list[StreamEntry]:
        """XRANGE."""
        return _entries(await self.execute("XRANGE", stream, start, end, *(("COUNT", count) if count else ())))

    async def last_id(self, stream: str) -> bytes:
        """The id of the newest entry, `0-0` for an empty stream."""
        newest = _entries(await self.execute("XREVRANGE", stream, "+", "-", "COUNT", 1))
        return newest[0][0] if newest else b"0-0"

    async def hash(self, key: str) -> dict[str, str]:
        """HGETALL, decoded."""
        reply: dict[bytes, bytes] = await self.execute("HGETALL", key)
        return {name.decode(): value.decode(errors="replace") for name, value in reply.items()}


def xadd(stream: str, fields: Mapping[bytes, bytes], *, maxlen: int, create: bool = True) -> tuple[Any, ...]:
    """The XADD command, for a pipeline; see `Broker.append`."""
    flat: list[Any] = []
    for name, value in fields.items():
        flat += (name, value)
    head = ("XADD", stream) if create else ("XADD", stream, "NOMKSTREAM")
    return (*head, "MAXLEN", "~", maxlen, "*", *flat)


def xadd_template(
    stream: str, fixed: Mapping[bytes, bytes], names: Sequence[bytes], *, maxlen: int, create: bool = True
) -> bytes:
    """XADDs to one stream, packed for `Broker.burst` in one formatting: fill in each value's length and bytes.

    The fields are `fixed`, with the same values each time, then those named `names`.
    """
    fields = {**fixed, **dict.fromkeys(names, b"")}
    filled = hiredis.pack_command(xadd(stream, fields, maxlen=maxlen, create=create))
    # Values come last: what stands before the first name is the same each time.
    head: bytes = filled[: filled.index(_bulk(names[0]) + _bulk(b""))].replace(b"%", b"%%")
    return head + b"".join(_bulk(name).replace(b"%", b"%%") + b"$%d\r\n%b\r\n" for name in names)


def _bulk(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _entries(reply: Any) -> list[StreamEntry]:
    # redis-py gives None in place of the fields of an entry that was deleted.
    return [(entry_id, fields) for entry_id, fields in reply or () if fields is not None]


class bus_errors:
    """Turns what redis-py raises when Redis is away, or can't be worked with, into BusUnavailable."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        # A pipeline's error has its command first, with what is nobody else's business, and then the reply as a tuple.
        reply = str(error).rpartition(_OF_A_PIPELINE)[2].strip("(',\")")
        if isinstance(error, _AWAY) or (isinstance(error, ResponseError) and reply.startswith(AWAY)):
            raise BusUnavailable(f"Redis is away: {reply or type(error).__name__}") from error


async def until_available(attempt: Callable[[], Any], *, first_delay: float = 0.05, longest_delay: float = 1.0) -> Any:
    """`await attempt()`, again and again while Redis is away; for loops that must outlive an outage."""
    delay = first_delay
    while True:
        try:
            return await attempt()
        except BusUnavailable:
            await asyncio.sleep(delay)
            delay = min(longest_delay, delay * 2)


@asynccontextmanager
async def connect(url: str, **options: Any) -> AsyncIterator[Broker]:
    """A Broker for the length of a block."""
    broker = Broker(url, **options)
    try:
        yield broker
    finally:
        await broker.aclose()
