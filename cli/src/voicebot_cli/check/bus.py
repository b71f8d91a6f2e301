"""Redis: there, new enough, keeping what it is given, and with the same idea of the time.

In docker compose it is not to be reached from outside: then the gateway's word must do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from callbus import registry
from callbus.broker import Broker, connect
from callbus.errors import BusUnavailable
from voicebot_cli.check.verdict import Verdict, right, unset, wrong
from voicebot_cli.errors import CliError
from voicebot_cli.status import fetch
from voicebot_cli.system import System

OLDEST = (7, 0)
"""Entries of a stream are claimed automatically since 6.2; what is deleted among them is told apart since 7.0."""
LARGEST_SKEW_S = 1.0
"""Transcripts, records and recordings are put together by the machines' clocks; webhooks may be 300 s off."""
TIMEOUT_S = 3.0


async def check_bus(system: System) -> list[Verdict]:
    """Redis itself, and this machine's clock against its; or what the gateway says of it."""
    try:
        status = await fetch(system.gateway_url)
    except CliError:
        status = None
    try:
        async with connect(system.redis_url, timeout=TIMEOUT_S) as broker:
            await broker.ping()
            # The first one has the connecting in it.
            began = time.perf_counter()
            await broker.ping()
            ping_ms = (time.perf_counter() - began) * 1000
            info: dict[str, Any] = await broker.execute("INFO")
            found = [judge_server(info, ping_ms), await _clock(broker)]
            if system.redis_asked_for or status is None or await _is_the_gateways(broker, status):
                return found
            return _by_the_gateway(status, "another Redis is at REDIS_URL")
    except (BusUnavailable, RedisError) as error:
        if status is not None and status["redis"]["reachable"] and not system.redis_asked_for:
            return _by_the_gateway(status, "not to be reached from here")
        todo = (
            "see that Redis runs and lets this machine in, and that REDIS_URL (or --redis) is right: its host, its "
            "user (and what that one may do), its database"
        )
        return [wrong("redis", str(error), todo), unset("clock", "unknown without Redis")]


async def _is_the_gateways(broker: Broker, status: Mapping[str, Any]) -> bool:
    """Whether the gateway's heartbeat is there; what listens at the usual port may be somebody else's."""
    return any(service.get("id") == status["gateway"]["id"] for service in await registry.running(broker))


def _by_the_gateway(status: Mapping[str, Any], why: str) -> list[Verdict]:
    if not status["redis"]["reachable"]:
        return [
            wrong("redis", f"the gateway can't reach it ({why})", "check the gateway's REDIS_URL, and that Redis runs"),
            unset("clock", "unknown without Redis"),
        ]
    shown = f"the gateway reaches it, in {status['redis']['ping_ms']:.1f} ms ({why}: version and settings unseen)"
    return [right("redis", shown), unset("clock", f"not compared with Redis' clock ({why})")]


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
