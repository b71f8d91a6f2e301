"""The live page in a real browser: what is told shows, what is pressed is asked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from starlette.responses import JSONResponse

from support import console_samples as samples
from support.console_backend import TOKEN, Console
from support.console_browser import sign_in
from support.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]


async def test_a_call_appears_grows_and_goes(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    await sign_in(page, backend.url, TOKEN)
    await expect(page.get_by_text("No call is going on.")).to_be_visible()
    backend.put(samples.active(state="ringing"))
    card = page.locator("[data-call=call-1]")
    await expect(card.get_by_role("heading")).to_have_text("+33612345678 → +33184800000")
    await expect(card.locator(".state")).to_have_text("ringing")
    for entry in samples.conversation():
        backend.add("call-1", entry)
    backend.put(samples.active(state="thinking", turns=2, last_ms=801.0))
    await expect(card.locator(".state")).to_have_text("thinking")
    await expect(card.locator(".facts")).to_contain_text("host-15014-3e3fef")
    await expect(card.locator(".facts")).to_contain_text("801 ms")

    lines = card.locator(".line")
    # What was heard, what was cut off, and what nobody knows of yet are different things.
    assert await card.locator(".heard").all_inner_texts() == ["Hello, this is the library.", "Yes, for two"]
    await expect(card.locator("del.unheard")).to_contain_text("hours at the desk.")
    await expect(card.locator(".unheard-yet")).to_contain_text("One moment please.")
    bar = lines.filter(has_text="Can I borrow a laptop?").locator(".bar")
    await expect(bar).to_have_attribute("aria-label", re.compile("^Answered after 801 ms: words understood 410 ms"))
    assert await bar.locator(".stage").count() == 5
    await expect(lines.filter(has_text="find_order")).to_contain_text("shipped")
    await expect(lines.filter(has_text="book did not answer").locator(".tag.bad")).to_have_text("failed")
    await expect(lines.filter(has_text="One moment please.").locator(".who")).to_have_text("Operator")
    await expect(lines.filter(has_text="hours at the desk.").locator(".who")).to_have_text("Bot")
    await expect(lines.filter(has_text="Transfer to +33187654321")).to_contain_text("done")
    # Said by a caller, shown as said.
    await expect(lines.filter(has_text=samples.HOSTILE)).to_have_count(1)
    assert await page.locator("main img").count() == 0
    assert "owned" not in await page.title()

    backend.gone("call-1")
    await expect(card).to_have_count(0)
    await expect(page.get_by_text("No call is going on.")).to_be_visible()


async def test_buttons_ask_the_gateway(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    backend.calls["call-1"] = samples.active()
    await sign_in(page, backend.url, TOKEN)
    card = page.locator("[data-call=call-1]")
    await card.get_by_label("Say a line").fill("A colleague is coming.")
    await card.get_by_role("button", name="Say", exact=True).click()
    await expect(card.get_by_label("Say a line")).to_have_value("")
    await card.get_by_label("Transfer to").fill("+33187654321")
    await card.get_by_label("Transfer to").press("Enter")
    await expect(card.get_by_label("Transfer to")).to_have_value("")
    await card.get_by_role("button", name="Take over").click()
    await expect(card.get_by_text("The bot is muted")).to_be_visible()
    backend.put(samples.active(muted=True))
    await expect(card.get_by_role("button", name="Give back")).to_have_attribute("aria-pressed", "true")
    await card.get_by_role("button", name="Give back").click()
    await card.get_by_role("button", name="Hang up").click()
    await card.get_by_role("button", name="Really hang up?").click()
    await until(lambda: len(backend.asked) == 5, what="five things asked")
    assert backend.asked == [
        ("/calls/call-1/say", {"text": "A colleague is coming."}),
        ("/calls/call-1/transfer", {"number": "+33187654321"}),
        ("/calls/call-1/mute", {"on": True}),
        ("/calls/call-1/mute", {"on": False}),
        ("/calls/call-1/hang-up", {}),
    ]


async def test_a_refusal_says_why_and_keeps_what_was_typed(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    backend.calls["call-1"] = samples.active()
    backend.refuse = JSONResponse({"error": "the call is over", "hint": "nothing to be done"}, 409)
    await sign_in(page, backend.url, TOKEN)
    card = page.locator("[data-call=call-1]")
    await card.get_by_label("Transfer to").fill("12")
    await card.get_by_label("Transfer to").press("Enter")
    await expect(card.get_by_role("status")).to_have_text("the call is over Nothing to be done")
    await expect(card.get_by_label("Transfer to")).to_have_value("12")


async def test_a_call_that_goes_on_already_is_read_from_its_beginning(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    for name in ("call-1", "call-2"):
        # The caller has said nothing yet that the count of turns would tell of.
        backend.calls[name] = samples.active(name, turns=0)
        backend.entries[name] = samples.conversation()[:4]
    await sign_in(page, backend.url, TOKEN)
    first, second = page.locator("[data-call=call-1]"), page.locator("[data-call=call-2]")
    await expect(first.get_by_text("Can I borrow a laptop?")).to_be_visible()
    await expect(second.get_by_text("Can I borrow a laptop?")).to_have_count(0)
    await second.get_by_role("button", name="Show from the beginning").click()
    await expect(second.get_by_text("Can I borrow a laptop?")).to_be_visible()
    # Told by both streams, shown once; and the first card goes on growing.
    backend.add("call-2", samples.conversation()[4])
    backend.add("call-1", samples.conversation()[4])
    for card in (first, second):
        await expect(card.get_by_text("Yes, for two hours at the desk.")).to_have_count(1)


async def test_the_stream_comes_back_with_what_is_now(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    backend.calls["call-1"] = samples.active()
    await sign_in(page, backend.url, TOKEN)
    await expect(page.locator("[data-call=call-1]")).to_be_visible()
    backend.calls = {"call-9": samples.active("call-9")}
    backend.drop_streams()
    await expect(page.get_by_text("The connection to the gateway is lost")).to_be_visible()
    await expect(page.locator("[data-call=call-9]")).to_be_visible()
    await expect(page.locator("[data-call=call-1]")).to_have_count(0)
    await expect(page.get_by_text("The connection to the gateway is lost")).to_have_count(0)
