"""Which services run: each one's heartbeat, and the list of all of them."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from callbus import keys
from callbus.broker import Broker
from callbus.errors import BusUnavailable

BEAT_EVERY_S = 1.0


def new_service_id() -> str:
    """A name that no other process has, now or after a restart, and that a person can place."""
    host = "".join(c if c.isalnum() else "-" for c in socket.gethostname())[:32]
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"


async def beat(broker: Broker, kind: str, service_id: str, info: Mapping[str, Any]) -> None:
    """Say that a service lives, and how it is; forgotten after HEARTBEAT_TTL_S without another beat."""
    now = time.time()
    value = json.dumps({"id": service_id, "kind": kind, "at": round(now, 3), **info})
    await broker.pipeline(
        [
            ("SET", keys.service(kind, service_id), value, "EX", keys.HEARTBEAT_TTL_S),
            ("ZADD", keys.SERVICES, now + keys.HEARTBEAT_TTL_S, f"{kind}:{service_id}"),
            ("ZREMRANGEBYSCORE", keys.SERVICES, "-inf", now),
            ("EXPIRE", keys.SERVICES, keys.CALL_TTL_S),
        ]
    )


async def leave(broker: Broker, kind: str, service_id: str) -> None:
    """Take a service off the list at once."""
    await broker.pipeline([("DEL", keys.service(kind, service_id)), ("ZREM", keys.SERVICES, f"{kind}:{service_id}")])


async def running(broker: Broker) -> list[dict[str, Any]]:
    """The services that live, by kind and id, each with what it last said of itself."""
    members: list[bytes] = await broker.execute("ZRANGEBYSCORE", keys.SERVICES, time.time(), "+inf")
    if not members:
        return []
    names = sorted(member.decode().split(":", 1) for member in members)
    values = await broker.execute("MGET", *(keys.service(kind, service_id) for kind, service_id in names))
    return [json.loads(value) for value in values if value]


async def keep_beating(broker: Broker, kind: str, service_id: str, info: Callable[[], Mapping[str, Any]]) -> None:
    """Beat every second until cancelled; an outage of Redis is waited out."""
    while True:
        try:
            await beat(broker, kind, service_id, info())
        except BusUnavailable:
            pass
        await asyncio.sleep(BEAT_EVERY_S)
