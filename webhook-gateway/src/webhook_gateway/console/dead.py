"""Deliveries of records to the customer's webhook: how they stand, and those that were given up.

The keys are those of ai-jobs' deliveries; a replay is asked for by a lifecycle event, which ai-jobs reads.
"""

from __future__ import annotations

import time
from typing import Any

from callbus import calls, keys
from callbus.broker import Broker
from callbus.calls import LifecycleEvent
from webhook_gateway.answers import Refusal

MOST = 500


async def of_call(broker: Broker, call_id: str) -> list[dict[str, Any]]:
    """How the delivery of a call's record stands; empty when there was none. Raises BusUnavailable."""
    fields = await broker.hash(keys.outgoing(call_id))
    return [_shown(call_id, fields)] if fields else []


async def letters(broker: Broker) -> list[dict[str, Any]]:
    """The newest dead letters first, those that are being tried again among them. Raises BusUnavailable."""
    listed: list[bytes] = await broker.execute("ZREVRANGE", keys.DEAD_LETTERS, 0, MOST - 1)
    call_ids = [member.decode() for member in listed]
    found = []
    for call_id, raw in zip(
        call_ids, await broker.pipeline([("HGETALL", keys.outgoing(call_id)) for call_id in call_ids]), strict=True
    ):
        found.append(_shown(call_id, {name.decode(): value.decode(errors="replace") for name, value in raw.items()}))
    return found


async def replay(broker: Broker, call_id: str) -> None:
    """Have a dead letter delivered again. Raises Refusal when there is none; BusUnavailable."""
    if await broker.execute("ZSCORE", keys.DEAD_LETTERS, call_id) is None:
        raise Refusal(404, "not_found", "there is no such dead letter", "GET /console/api/jobs/dead lists them")
    await calls.publish(broker, LifecycleEvent("delivery", "replay", call_id, time.time(), source="console"))


def _shown(call_id: str, fields: dict[str, str]) -> dict[str, Any]:
    status, reason = fields.get("status", ""), fields.get("reason", "")
    return {
        "id": call_id,
        "call_id": call_id,
        "state": fields.get("state", "dead"),
        "url": fields.get("url"),
        "at": _number(fields.get("at", "")),
        "next_at": _number(fields.get("next_at", "")) or None,
        "attempts": int(_number(fields.get("tries", "")) or 0),
        "error": ": ".join(part for part in (status, reason) if part) or None,
    }


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
