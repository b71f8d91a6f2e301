"""Webhooks as Ringover sends them to a running gateway, and what the gateway made of them."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

from callbus import keys
from callbus.broker import Broker
from callbus.calls import LifecycleEvent
from support.gateway_process import ENDPOINT
from support.gateway_signing import plain

ADMIN = "admin-token-5b1e"
PATH_SECRET = "path-secret-0123456789"
API_KEY = "ringover-api-key-99"
AT = float(int(time.time()))
"""When what a test tells of happened: events of yesterday are not taken."""
JSON = {"content-type": "application/json"}
AUTHORIZED = {"authorization": f"Bearer {ADMIN}"}


def envelope(event: str, call_id: str = "c1", *, at: float = AT, resource: str = "call", **data: Any) -> bytes:
    """An event's body; `data` is more of its data, or other."""
    return json.dumps(
        {
            "resource": resource,
            "event": event,
            "timestamp": at,
            "attempt": 1,
            "data": {
                "call_id": call_id,
                "channel_id": 7,
                "from_number": "33612345678",
                "to_number": 33184800000,
                **data,
            },
        }
    ).encode()


async def post(
    client: httpx.AsyncClient, body: bytes, headers: dict[str, str] | None = None, path: str = ENDPOINT
) -> httpx.Response:
    """Deliver this body, signed unless there are `headers`."""
    return await client.post(path, content=body, headers={**JSON, **(plain(body) if headers is None else headers)})


async def published(broker: Broker) -> list[LifecycleEvent]:
    """All lifecycle events, in order."""
    return [LifecycleEvent.from_fields(fields) for _, fields in await broker.range(keys.EVENTS)]


async def counted(client: httpx.AsyncClient, sample: str) -> float:
    """One value off the metrics page; 0 if it is not there."""
    lines = (await client.get("/metrics")).text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{sample} ")), 0.0)
