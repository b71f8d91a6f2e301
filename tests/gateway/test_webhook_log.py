"""The count of webhooks, and why some were refused: of all gateways, through restarts, outages and floods."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from callbus import keys
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from devstack.ports import free_port
from support.waiting import until
from webhook_gateway import webhook_log
from webhook_gateway.webhook_log import LONGEST_REASON, REASONS_KEPT, WebhookLog


def reasons(shown: dict[str, Any]) -> dict[str, int]:
    """How often each reason was given, the newest first."""
    return {refusal["reason"]: refusal["times"] for refusal in shown["refused"]}


async def test_all_gateways_are_counted_together_and_a_restart_forgets_nothing(broker: Broker) -> None:
    one, other = WebhookLog(broker), WebhookLog(broker)
    for log, reason in ((one, ""), (one, "no signature"), (other, "not JSON"), (other, "no signature"), (other, "")):
        log.note(reason)
    assert (await one.show())["received"] == 2, "its own are shown before they are written"
    await one.write()
    await other.write()
    await other.write()
    for log in (one, other, WebhookLog(broker)):
        shown = await log.show()
        assert (shown["received"], shown["refused_total"], shown["shared"]) == (5, 3, True)
        assert reasons(shown) == {"no signature": 2, "not JSON": 1}
        assert list(reasons(shown)) == ["no signature", "not JSON"]
        assert shown["since"] == pytest.approx(one._began, abs=0.01)
        assert all(refusal["at"] >= shown["since"] - 0.01 for refusal in shown["refused"])
    assert await broker.execute("TTL", keys.WEBHOOKS) > 30 * 24 * 3600


async def test_a_flood_costs_one_write_and_pushes_no_more_than_its_own_reason_out(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook_log, "WRITE_EVERY_S", 0.05)
    log = WebhookLog(broker)
    log.note("an honest mistake")
    await log.write()
    written = await scripts(broker)
    for _ in range(10_000):
        log.note("the flood")
    running = asyncio.create_task(log.run())
    await until(lambda: not log._unwritten.received, what="the flood written")
    shown = await log.show()
    assert reasons(shown) == {"the flood": 10_000, "an honest mistake": 1}
    assert await scripts(broker) == written + 1
    for number in range(10_000):
        log.note(f"{number} " + "x" * 1000 + "\ud800")
    assert len(log._unwritten.reasons) == REASONS_KEPT
    await until(lambda: not log._unwritten.received, what="the other flood written")
    shown = await log.show()
    assert shown["refused_total"] == 20_001
    assert len(shown["refused"]) == REASONS_KEPT
    assert all(len(reason) == LONGEST_REASON for reason in reasons(shown))
    for key in (keys.WEBHOOKS_REFUSED, keys.WEBHOOKS_REFUSED_TIMES):
        size = "ZCARD" if key == keys.WEBHOOKS_REFUSED else "HLEN"
        assert await broker.execute(size, key) == REASONS_KEPT
    # Nothing comes any more: nothing is asked of Redis.
    assert await scripts(broker) == written + 2
    running.cancel()
    await asyncio.wait([running])


def test_numbers_in_a_reason_are_masked(broker: Broker) -> None:
    log = WebhookLog(broker)
    log.note("call id '33612345678 ' can't be used")
    assert list(log._unwritten.reasons) == ["call id '3361*****78 ' can't be used"]


async def scripts(broker: Broker) -> int:
    """How many scripts Redis has run."""
    told = await broker.execute("INFO", "commandstats")
    return int(told.get("cmdstat_evalsha", {}).get("calls", 0))


async def test_what_was_seen_while_redis_was_away_is_written_later(broker: Broker) -> None:
    nowhere = Broker(f"redis://127.0.0.1:{free_port()}")
    log = WebhookLog(nowhere)
    log.note("not JSON")
    with pytest.raises(BusUnavailable):
        await log.write()
    log.note("no signature")
    shown = await log.show()
    assert (shown["received"], shown["refused_total"], shown["shared"]) == (2, 2, False)
    assert reasons(shown) == {"no signature": 1, "not JSON": 1}
    await nowhere.aclose()
    log._broker = broker
    await log.write()
    shown = await WebhookLog(broker).show()
    assert (shown["received"], reasons(shown)) == (2, {"no signature": 1, "not JSON": 1})
