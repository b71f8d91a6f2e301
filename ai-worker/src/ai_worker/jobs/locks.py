"""One process at a time does a piece of work for a call."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from callbus import keys
from callbus.broker import Broker
from callbus.errors import BusUnavailable

_LOOK_EVERY_S = 0.1

# KEYS: the lock; ARGV: token
_GIVE_BACK = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Busy(TimeoutError):
    """Another process does this work for the call."""


@asynccontextmanager
async def alone(
    broker: Broker, call_id: str, work: str, *, longest_s: float, patience_s: float = 0
) -> AsyncIterator[None]:
    """Hold the lock for a block that takes at most `longest_s`: a lost process's lock is free after that.

    Waits for `patience_s` at most, then raises Busy. Raises BusUnavailable.
    """
    key, token = keys.lock(call_id, work), secrets.token_hex(8)
    until = asyncio.get_running_loop().time() + patience_s
    try:
        while not await broker.execute("SET", key, token, "NX", "PX", max(1, round(longest_s * 1000))):
            if asyncio.get_running_loop().time() >= until:
                raise Busy(f"another process is {work} call {call_id}")
            await asyncio.sleep(_LOOK_EVERY_S)
        yield
    finally:
        # Also when the command was given up on its way: it may have been carried out.
        with suppress(BusUnavailable):
            await broker.script(_GIVE_BACK, [key], [token])
