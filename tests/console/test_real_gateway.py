"""The console's pages on a real gateway and its Redis: what is shown is what is there, what is pressed is done."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from callbus import keys
from callbus.broker import Broker
from support.console_browser import sign_in
from support.gateway_process import gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]


async def test_a_dead_letter_is_delivered_again_from_the_page(page: Page, redis_url: str, tmp_path: Path) -> None:
    from playwright.async_api import expect

    broker = Broker(redis_url)
    delivery = {"digest": "d", "state": "dead", "at": "5.5", "tries": "9", "status": "503", "reason": "no answer"}
    pairs = [part for pair in {**delivery, "url": "https://crm.example/calls"}.items() for part in pair]
    await broker.pipeline(
        [
            ("FLUSHDB",),
            ("HSET", keys.outgoing("c1"), *pairs),
            ("ZADD", keys.DEAD_LETTERS, 5.5, "c1"),
        ]
    )
    try:
        with gateway(tmp_path, REDIS_URL=redis_url, RINGOVER_WEBHOOK_SECRET=KEY, ADMIN_TOKEN=ADMIN) as running:
            await sign_in(page, running.url, ADMIN, to="#/system")
            letter = page.locator(".delivery")
            await expect(letter).to_contain_text("https://crm.example/calls")
            await expect(letter).to_contain_text(re.compile("503.*no answer"))
            await letter.get_by_role("button", name="Deliver again").click()
            await expect(letter).to_have_count(0)
            [(_, event)] = await broker.range(keys.EVENTS)
            told = tuple(event[name].decode() for name in (b"resource", b"event", b"call_id"))
            assert told == ("delivery", "replay", "c1")
            await page.close()
    finally:
        await broker.execute("FLUSHDB")
        await broker.aclose()
