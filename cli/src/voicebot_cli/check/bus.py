"""Redis: there, new enough, keeping what it is given, and with the same idea of the time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from callbus.broker import Broker, connect
from callbus.errors import BusUnavailable
from voicebot_cli.check.verdict import Verdict, right, unset, wrong
from voicebot_cli.system import System

OLDEST = (7, 0)
"""Entries of a stream are claimed automatically since 6.2; what is deleted among them is told apart since 7.0."""
LARGEST_SKEW_S = 1.0
"""Transcripts, records and recordings are put together by the machines' clocks; webhooks may be 300 s off."""
TIMEOUT_S = 3.0


async def check_bus(system: System) -> list[Verdict]:
    """Redis itself, and this machine's clock against its."""
    try:
        async with connect(system.redis_url, timeout=TIMEOUT_S) as broker:
            await broker.ping()
            # The first one has the connecting in it.
            began = time.perf_counter()
            await broker.ping()
            ping_ms = (time.perf_counter() - began) * 1000
            info: dict[str, Any] = await broker.execute("INFO")
            return [judge_server(info, ping_ms), await _clock(broker)]
    except BusUnavailable as error:
        todo = "set REDIS_URL (or give --redis), and see that Redis runs and lets this machine in"
        return [wrong("redis", str(error), todo), unset("clock", "unknown without Redis")]
    except RedisError as error:
        todo = "correct REDIS_URL: its user (and what that one may do), its database"
        return [wrong("redis", str(error), todo), unset("clock", "unknown without Redis")]


def judge_server(info: Mapping[str, Any], ping_ms: float) -> Verdict:
    """What INFO says of a server."""
    version = str(info.get("redis_version", "0"))
    name = "Valkey" if "valkey_version" in info or info.get("server_name") == "valkey" else "Redis"
    shown = f"{name} {info.get('valkey_version', version)}, answers in {ping_ms:.1f} ms"
    if tuple(int(part) if part.isdecimal() else 0 for part in version.split(".")[:2]) < OLDEST:
        return wrong("redis", shown, f"use Redis {OLDEST[0]}.{OLDEST[1]} or later, or Valkey")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        todo = "redis-cli CONFIG SET maxmemory-policy noeviction (and in its configuration): else calls lose their keys"
        return wrong("redis", f"{shown}; throws keys away when full ({policy})", todo)
    if str(info.get("role", "master")) != "master":
        return wrong("redis", f"{shown}; it is a replica and takes no writes", "set REDIS_URL to the primary")
    kept = "append-only file" if str(info.get("aof_enabled", 0)) == "1" else "no append-only file"
    return right("redis", f"{shown}, {policy}, {kept}")


async def _clock(broker: Broker) -> Verdict:
    before = time.time()
    seconds, microseconds = await broker.execute("TIME")
    after = time.time()
    return judge_clock((before + after) / 2 - (int(seconds) + int(microseconds) / 1e6), (after - before) / 2)


def judge_clock(skew: float, error: float) -> Verdict:
    """This machine's clock is `skew` s ahead of Redis', give or take `error` s."""
    shown = f"{skew * 1000:+.0f} ms from Redis' clock (± {error * 1000:.0f} ms)"
    if abs(skew) - error > LARGEST_SKEW_S:
        return wrong("clock", shown, "run a time service (chrony, systemd-timesyncd) on both machines")
    return right("clock", shown)
