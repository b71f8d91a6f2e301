"""The state of the whole integration as anyone may see it: no secrets, no phone numbers, no call ids."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from callbus import registry
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from webhook_gateway import calls_view
from webhook_gateway.settings import GatewaySettings

FRESH_S = 1.0

# A heartbeat may say anything: what is shown is chosen here.
_SHOWN = {
    "streamer": ("id", "at", "sessions", "capacity", "draining"),
    "worker": ("id", "at", "calls", "capacity", "providers", "provider_state", "provider_counts", "draining"),
}
_FOR_THE_OPERATOR = frozenset(("last_error", "last_error_at"))


class StatusBoard:
    """Answers `GET /api/v1/status`; asks Redis at most once in FRESH_S, however many ask."""

    def __init__(self, settings: GatewaySettings, broker: Broker, gateway_id: str) -> None:
        self._broker = broker
        self._gateway_id = gateway_id
        self._began = time.monotonic()
        self._fixed = {
            "providers": {
                "ringover": settings.ringover_api_key is not None,
                "openai": settings.openai_api_key is not None,
                "elevenlabs": settings.elevenlabs_api_key is not None,
            },
            "ringover_base_url": settings.ringover_base_url,
            "webhooks": {
                "signed": bool(settings.webhook_keys),
                "keys": len(settings.webhook_keys),
                "public_url_set": settings.public_endpoint is not None,
                "path_secret_set": settings.path_secret is not None,
            },
        }
        self._lock = asyncio.Lock()
        self._seen: dict[str, Any] = {}
        self._seen_at = -FRESH_S

    async def show(self) -> dict[str, Any]:
        """The status; Redis being away is part of it."""
        async with self._lock:
            if time.monotonic() - self._seen_at >= FRESH_S:
                self._seen = await self._look()
                self._seen_at = time.monotonic()
        gateway = {"id": self._gateway_id, "uptime_s": round(time.monotonic() - self._began, 1)}
        return {**self._seen, "gateway": gateway, **self._fixed}

    async def _look(self) -> dict[str, Any]:
        began = time.perf_counter()
        try:
            await self._broker.ping()
            ping_ms = (time.perf_counter() - began) * 1000
            services = await registry.running(self._broker)
            active = await calls_view.active_count(self._broker)
        except BusUnavailable as error:
            return {
                "status": "down",
                "problems": [f"{error}: check REDIS_URL and that Redis runs"],
                "redis": {"reachable": False},
                "streamers": [],
                "workers": [],
                "running": {},
                "active_calls": None,
            }
        streamers, workers = _shown(services, "streamer"), _shown(services, "worker")
        problems = []
        if not streamers:
            problems.append("no streamer is running: calls have no audio; start one with `streamer`")
        if not any(not worker.get("draining") for worker in workers):
            problems.append("no ai-worker takes calls: callers are sent to the fallback; start one with `ai-worker`")
        return {
            "status": "degraded" if problems else "ok",
            "problems": problems,
            "redis": {"reachable": True, "ping_ms": round(ping_ms, 2)},
            "streamers": streamers,
            "workers": workers,
            "running": dict(Counter(str(service.get("kind")) for service in services)),
            "active_calls": active,
        }


def _shown(services: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [
        {name: _plain(service[name]) for name in _SHOWN[kind] if name in service}
        for service in services
        if service.get("kind") == kind
    ]


def _plain(value: object) -> object:
    """Names and figures only, however deep; no errors' texts, which are for the operator."""
    if isinstance(value, Mapping):
        plain = {str(name): _plain(item) for name, item in value.items() if name not in _FOR_THE_OPERATOR}
        return {name: item for name, item in plain.items() if isinstance(item, str | int | float | dict | None)}
    return value
