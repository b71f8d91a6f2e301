"""The console for everybody: by keyboard, by ear, on a telephone, in light and dark, in a real browser."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from support import console_samples as samples
from support.console_backend import TOKEN, Console
from support.console_browser import fresh_page, sign_in
from support.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]

PAGES = {
    "live": ".call .line",
    "calls": "tbody tr",
    "calls/past-1": ".line",
    "phone": ".keypad",
    "system": ".checklist",
}
"""Each page's address, and what is there once it is shown."""
CONTROLS = {"button", "link", "textbox", "searchbox", "combobox", "checkbox", "slider", "spinbutton", "meter", "Date"}


@pytest.fixture
def full(backend: Console, one_call: None) -> Console:
    """A backend in which every page has everything on it."""
    backend.past = [samples.past(number) for number in range(1, 41)]
    backend.dead = [samples.dead_delivery()]
    backend.agents = [{"name": "library", "numbers": ["33184800000"], "language": "en"}]
    backend.calls["call-1"] = samples.active(turns=2)
    backend.entries["call-1"] = samples.conversation()
    return backend


async def visit(page: Page, backend: Console, address: str) -> None:
    """Go to a page of the console, and wait until it is there."""
    await page.goto(f"{backend.url}/console#/{address}")
    await page.locator(PAGES[address]).first.wait_for()


async def test_the_keyboard_alone_gets_everywhere(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    backend.calls["call-1"] = samples.active()
    await sign_in(page, backend.url, TOKEN)
    await page.locator("[data-call=call-1]").wait_for()
    await page.reload()
    await page.locator("[data-call=call-1]").wait_for()
    reached = []
    for _ in range(13):
        await page.keyboard.press("Tab")
        focused = page.locator(":focus")
        reached.append(await focused.evaluate("e => e.getAttribute('aria-label') || e.name || e.textContent"))
        assert await focused.evaluate("e => getComputedStyle(e).outlineStyle") == "solid", reached
    assert reached[:6] == ["Skip to content", "Live", "Past calls", "Phone", "System", "Sign out"]
    assert reached[-6:] == ["say", "Say", "transfer", "Transfer", "Take over (mute the bot)", "Hang up"]
    await page.get_by_role("link", name="Skip to content").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()


async def test_the_focus_is_seen_on_every_control(page: Page, full: Console) -> None:
    await sign_in(page, full.url, TOKEN)
    for address in PAGES:
        await visit(page, full, address)
        await page.evaluate("document.getElementById('skip').focus()")
        reached = set()
        for _ in range(90):
            await page.keyboard.press("Tab")
            kind, name, outline = await page.evaluate(_FOCUSED)
            if kind == "BODY":
                break
            # The browser draws the controls of a sound itself.
            assert kind == "AUDIO" or outline >= 2, f"{address}: no focus is seen on {kind} {name}"
            reached.add(name)
        assert len(reached) >= 8, f"{address}: {reached}"


async def test_an_operator_needs_no_mouse(page: Page, full: Console) -> None:
    await sign_in(page, full.url, TOKEN)
    await visit(page, full, "live")
    card = page.locator("[data-call=call-1]")
    await card.get_by_label("Say a line").focus()
    await page.keyboard.type("One moment.")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await until(lambda: len(full.asked) == 1, what="the line said")
    for number, (key, name) in enumerate((("Space", "Take over"), ("Enter", "Take over")), 2):
        await card.get_by_role("button", name=name).focus()
        await page.keyboard.press(key)
        await until(lambda number=number: len(full.asked) == number, what=name)  # type: ignore[misc]
        # What was pressed keeps the focus: else the next Tab would begin at the top of the page.
        await page.wait_for_function(
            "() => !document.activeElement.disabled && document.activeElement.tagName === 'BUTTON'"
        )
        assert (await page.evaluate(_FOCUSED))[1].startswith(name)
    await card.get_by_role("button", name="Hang up").focus()
    await page.keyboard.press("Enter")
    await card.get_by_role("button", name="Really hang up?").wait_for()
    await page.keyboard.press("Enter")
    await until(lambda: len(full.asked) == 4, what="hung up")
    asked = [path.removeprefix("/calls/call-1/") for path, _ in full.asked]
    assert asked == ["say", "mute", "mute", "hang-up"]


async def test_every_control_has_a_name(page: Page, full: Console) -> None:
    await page.goto(f"{full.url}/console")
    await page.get_by_label("Admin token").wait_for()
    assert await nameless(page) == (set(), {"textbox", "button", "link"})
    await sign_in(page, full.url, TOKEN)
    for address in PAGES:
        await visit(page, full, address)
        without, kinds = await nameless(page)
        assert without == set(), address
        assert {"button", "link"} <= kinds
        levels = await page.evaluate("[...document.querySelectorAll('h1,h2,h3')].map((e) => Number(e.tagName[1]))")
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels)), (address, levels)


async def nameless(page: Page) -> tuple[set[str], set[str]]:
    """The controls that Chromium's own accessibility tree has no name for, and the kinds of controls that there are."""
    session = await page.context.new_cdp_session(page)
    tree = (await session.send("Accessibility.getFullAXTree"))["nodes"]
    await session.detach()
    found = [node for node in tree if not node["ignored"] and node["role"]["value"] in CONTROLS | {"image", "img"}]
    without = {str(node) for node in found if not node.get("name", {}).get("value", "").strip()}
    return without, {node["role"]["value"] for node in found} & CONTROLS


async def test_heard_and_unheard_differ_in_more_than_colour(page: Page, full: Console) -> None:
    await sign_in(page, full.url, TOKEN)
    await visit(page, full, "live")
    style = "(e) => [getComputedStyle(e).fontStyle, getComputedStyle(e).textDecorationLine, e.textContent]"
    heard = await page.locator(".heard").first.evaluate(style)
    cut = await page.locator(".unheard").first.evaluate(style)
    coming = await page.locator(".unheard-yet").first.evaluate(style)
    assert heard[:2] == ["normal", "none"]
    assert cut[:2] == ["normal", "line-through"]
    assert coming[:2] == ["italic", "none"]
    assert "not heard" in cut[2]
    assert "not heard yet" in coming[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_fits_a_phone_and_can_be_read(chromium: Browser, full: Console, scheme: str) -> None:
    async with fresh_page(chromium, scheme=scheme, width=360, height=740) as page:
        await page.goto(f"{full.url}/console")
        await page.get_by_label("Admin token").wait_for()
        assert await page.evaluate(_TOO_WIDE) is False
        assert await page.evaluate(_TOO_FAINT) == []
        await sign_in(page, full.url, TOKEN)
        for address in PAGES:
            await visit(page, full, address)
            assert await page.evaluate(_TOO_WIDE) is False, f"{address} is too wide"
            assert await page.evaluate(_TOO_FAINT) == [], f"{address} in {scheme}"


_TOO_WIDE = "document.documentElement.scrollWidth > innerWidth"

_FOCUSED = """() => {
  const e = document.activeElement;
  const style = getComputedStyle(e);
  const name = e.getAttribute("aria-label") || e.name || e.textContent.slice(0, 40);
  return [e.tagName, name, style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth)];
}"""

_TOO_FAINT = """() => {
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const colour = numbers(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(":disabled")) continue;
    const pair = [light(numbers(getComputedStyle(element).color)), light(behind(element))].sort((a, b) => b - a);
    if ((pair[0] + 0.05) / (pair[1] + 0.05) < 4.5) faint.push(element.textContent.slice(0, 40));
  }
  return faint;
}"""
