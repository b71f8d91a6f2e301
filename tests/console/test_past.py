"""Past calls, one call and the system's page, and signing in, in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from support import console_samples as samples
from support.console_backend import TOKEN, Console
from support.console_browser import sign_in
from support.waiting import until

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="session")]


async def test_a_wrong_token_is_refused_and_the_right_one_is_kept_nowhere(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    await page.goto(f"{backend.url}/console#/system")
    await expect(page.get_by_label("Admin token")).to_be_focused()
    await page.get_by_label("Admin token").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("the admin token is missing or wrong")
    await page.get_by_label("Admin token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="System")).to_be_visible()
    kept = await page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert kept == '[{},{},""]'
    await page.reload()
    await expect(page.get_by_role("heading", name="System")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Admin token")).to_be_visible()
    await page.reload()
    await expect(page.get_by_label("Admin token")).to_be_visible()


async def test_a_session_that_ends_asks_for_the_token_again(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    await sign_in(page, backend.url, TOKEN)
    await page.context.clear_cookies()
    await page.get_by_role("link", name="Past calls").click()
    await expect(page.get_by_text("The session is over.")).to_be_visible()


async def test_calls_are_searched_and_paged(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    backend.past = [samples.past(number) for number in range(1, 41)]
    await sign_in(page, backend.url, TOKEN, to="#/calls")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(25)
    await expect(rows.first).to_contain_text("Asked about laptops")
    await page.get_by_role("link", name="Older").click()
    await expect(rows).to_have_count(15)
    await page.go_back()
    await expect(rows).to_have_count(25)
    await page.get_by_label("Number").fill("+33612345607")
    await page.get_by_label("Outcome").select_option("caller_left")
    await page.get_by_label("From day").fill("2026-07-01")
    await page.get_by_label("To day").fill("2026-07-31")
    await page.get_by_role("button", name="Search").click()
    await expect(rows).to_have_count(1)
    # The days of someone in Paris, the last one included.
    days = {"from": "2026-06-30T22:00:00.000Z", "to": "2026-07-31T22:00:00.000Z"}
    assert backend.searches[-1] == {"number": "+33612345607", "outcome": "caller_left", "limit": "25", **days}
    await expect(page.get_by_label("Number")).to_have_value("+33612345607")
    backend.past_problem = "the bucket can't be reached"
    await page.get_by_label("Number").fill("999")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No call matches.")).to_be_visible()
    await expect(page.get_by_text("Some calls may be missing: The bucket can't be reached")).to_be_visible()


async def test_one_call_is_read_and_heard(page: Page, backend: Console, one_call: None) -> None:
    from playwright.async_api import expect

    await sign_in(page, backend.url, TOKEN, to="#/calls/past-1")
    lines = page.locator(".line")
    await expect(lines.filter(has_text=samples.HOSTILE)).to_have_count(1)
    await expect(lines.filter(has_text="find_order")).to_contain_text("shipped")
    await expect(page.locator("del.unheard")).to_contain_text("hours at the desk.")
    await expect(lines.filter(has_text="One moment please.").locator(".who")).to_have_text("Operator")
    await expect(lines.filter(has_text="hours at the desk.").locator(".who")).to_have_text("Bot")
    await expect(page.locator(".line .bar")).to_have_attribute("aria-label", re.compile("801 ms"))
    await expect(page.get_by_text("openai failed: timeout")).to_be_visible()
    # Drawn: each channel in its own colour, and only where it spoke.
    painted = await page.wait_for_function(
        """() => {
          const canvas = document.querySelector("canvas");
          if (!canvas || canvas.width < 300) return null;
          const paint = canvas.getContext("2d");
          const { width, height } = canvas;
          const at = (second, down) => paint.getImageData(second / 12 * width, down * height, 1, 1).data[3] > 0;
          return [at(4, 0.4), at(4, 0.6), at(1, 0.4), at(1, 0.6), at(10, 0.4)];
        }"""
    )
    assert await painted.json_value() == [True, False, False, True, False]

    now = "document.querySelector('audio').currentTime"
    # All is drawn, and a place chosen, before anything of the recording is fetched.
    canvas = page.locator("canvas")
    await canvas.focus()
    await page.keyboard.press("ArrowRight")
    await expect(canvas).to_have_attribute("aria-valuetext", "0:05 of 0:12")
    assert await page.evaluate("document.querySelector('audio').networkState === HTMLMediaElement.NETWORK_IDLE")
    assert backend.heard == []
    await page.get_by_role("button", name="Hear from 0:06").click()
    await page.wait_for_function(f"() => {now} >= 6 && {now} < 9")
    assert backend.heard
    box = await canvas.bounding_box()
    assert box is not None
    await canvas.click(position={"x": box["width"] / 4, "y": 40})
    await page.wait_for_function(f"() => {now} >= 2.9 && {now} < 5")
    await page.evaluate("document.querySelector('audio').pause()")
    await canvas.focus()
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowRight")
    await page.wait_for_function(f"() => {now} === 5")
    await expect(canvas).to_have_attribute("aria-valuetext", "0:05 of 0:12")

    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download WAV").click()
    assert (await download.value).suggested_filename == "past-1.wav"


async def test_a_pause_before_the_recording_has_begun_is_no_error(page: Page, backend: Console, one_call: None) -> None:
    # The page's fixture fails on what a script does not catch: here, a play() that never got to play.
    await sign_in(page, backend.url, TOKEN, to="#/calls/past-1")
    await page.locator("canvas").wait_for()
    for clicked in ("canvas", "button.hear"):
        paused = await page.evaluate(
            """(clicked) => {
              const sound = document.querySelector("audio");
              const began = new Promise((resolve) => sound.addEventListener("play", resolve, { once: true }));
              document.querySelector(clicked).click();
              sound.pause();
              return began.then(() => sound.paused);
            }""",
            clicked,
        )
        assert paused is True
    await page.locator("canvas").focus()
    await page.keyboard.press("Space")
    await page.wait_for_function("() => !document.querySelector('audio').paused")
    await page.keyboard.press("Space")
    await page.wait_for_function("() => document.querySelector('audio').paused")
    assert await page.locator(".notice").first.text_content() == ""


async def test_a_recording_that_cannot_be_had_says_so(page: Page, backend: Console, one_call: None) -> None:
    from playwright.async_api import expect

    await page.route("**/audio", lambda route: route.fulfill(status=404, body="gone"))
    await sign_in(page, backend.url, TOKEN, to="#/calls/past-1")
    await page.get_by_role("button", name="Hear from 0:06").click()
    await expect(page.locator(".notice.bad").first).to_contain_text("The recording can't be played here:")


async def test_what_failed_what_it_cost_and_what_came_later(page: Page, backend: Console, one_call: None) -> None:
    from playwright.async_api import expect

    await sign_in(page, backend.url, TOKEN, to="#/calls/past-1")
    lines = page.locator(".line")
    # Words say what colours do.
    await expect(lines.filter(has_text="nobody answers").locator(".tag.bad")).to_have_text("failed")
    await expect(lines.filter(has_text="shipped").locator(".tag")).to_have_text("done")
    for note, kind in (("took over", "fallback"), ("text-to-speech failed", "error"), ("false interruption", "note")):
        await expect(lines.filter(has_text=note).locator(".who")).to_have_text(kind)

    costs = page.get_by_role("region", name="Usage and costs")
    await expect(costs).to_contain_text("US$0.00123")
    told = costs.get_by_role("row").filter(has_text="input tokens")
    await expect(told).to_contain_text("1,234input tokenstold by the provider")
    await expect(costs.get_by_role("row").filter(has_text="characters")).to_contain_text("measured here")
    await expect(costs).to_contain_text("2 requests of which no usage is known.")

    later = page.get_by_role("region", name="After the call")
    link = later.get_by_role("link")
    await expect(link).to_have_text(re.compile(r"^https://r.example/1.mp3.*external"))
    assert await link.get_attribute("rel") == "external noopener noreferrer"
    await expect(later).to_contain_text(samples.HOSTILE)
    await expect(later).to_contain_text("A laptop.")
    await expect(later).to_contain_text("javascript:alert(1)")
    assert await page.locator("main img").count() == 0


async def test_a_record_of_an_older_version_is_shown(page: Page, backend: Console, one_call: None) -> None:
    from playwright.async_api import expect

    old = samples.record()
    for name in ("costs", "aftercall"):
        del old[name]
    for turn in old["turns"]:
        for tool in turn["tools"]:
            del tool["failed"]
    backend.records["past-1"] = old
    await sign_in(page, backend.url, TOKEN, to="#/calls/past-1")
    await expect(page.locator(".line").filter(has_text="nobody answers").locator(".tag")).to_have_text("done")
    await expect(page.get_by_role("region", name="Usage and costs")).to_have_count(0)


async def test_an_unknown_call_and_one_without_recording(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    backend.records["past-2"] = samples.record("past-2", recorded=False)
    await sign_in(page, backend.url, TOKEN, to="#/calls/past-0")
    await expect(page.get_by_role("status")).to_contain_text("no such call")
    await page.goto(f"{backend.url}/console#/calls/past-2")
    await expect(page.get_by_text("This call was not recorded.")).to_be_visible()
    await expect(page.get_by_role("button", name="Hear from")).to_have_count(0)


async def test_the_system_page_tells_what_is_missing(page: Page, backend: Console) -> None:
    from playwright.async_api import expect

    again = {"id": "d-2", "call_id": "past-2", "state": "trying", "next_at": samples.BEGAN + 1800}
    backend.dead = [samples.dead_delivery(), {**samples.dead_delivery(), **again}]
    await sign_in(page, backend.url, TOKEN, to="#/system")
    await expect(page.get_by_role("heading", name="Setup")).to_contain_text("1 missing")
    missing = page.locator(".checklist .missing")
    await expect(missing).to_contain_text("add the webhook in Ringover's dashboard")
    await expect(missing.get_by_role("img", name="missing")).to_be_visible()
    providers = page.locator("section", has=page.get_by_role("heading", name="Providers"))
    failing = providers.get_by_role("row").filter(has_text="STT").filter(has_text="openai")
    await expect(failing).to_contain_text("open: kept out for 1:02 more")
    await expect(failing).to_contain_text(re.compile("status 500: try later.*2026"))
    await expect(providers.get_by_role("row").filter(has_text="LLM")).to_contain_text("closed: in usenone")
    refused = page.locator("section", has=page.get_by_role("heading", name="Webhooks"))
    await expect(refused).to_contain_text(re.compile("41 received and 7 refused since .* by all gateways"))
    await expect(refused.get_by_role("row").filter(has_text="the signature is wrong")).to_contain_text("7")
    dead, again_later = page.locator(".delivery").first, page.locator(".delivery").last
    await expect(dead).to_contain_text("https://crm.example/calls")
    await expect(dead).to_contain_text("given up")
    await expect(dead).not_to_contain_text("Next try")
    await expect(again_later).to_contain_text(re.compile("being tried again.*Next try.*2026", re.DOTALL))
    await dead.get_by_role("button", name="Deliver again").click()
    await until(lambda: backend.asked, what="the replay asked for")
    assert backend.asked == [("/jobs/dead/d-1/replay", {})]
    await expect(page.get_by_role("button", name="Deliver again")).to_have_count(1)
