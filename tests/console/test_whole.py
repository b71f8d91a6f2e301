"""The softphone against the whole system: a question asked into the browser's microphone, answered by the local bot."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from devstack.stack import LocalStack
from ringover_sim.speech import LocalVoice
from support.console_browser import browser, fresh_page, require_browser, sign_in
from support.whole_calls import ANSWER_WORDS, QUESTION, heard_text, loud, read_stereo, record_of, running

if TYPE_CHECKING:
    from playwright.async_api import Page

pytestmark = [
    pytest.mark.long,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.speech,
    pytest.mark.timeout(150),
]

RATE = 16000
GREETING_S = 8
"""Silence at first: the microphone hears its file from when it is opened, and the greeting comes first."""
ANSWER_MS = 30_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    require_browser()
    with running(tmp_path_factory.mktemp("stack"), env={"STREAMER_TOKEN": "a-token-for-the-tests"}) as stack:
        yield stack


@pytest.fixture(scope="module")
def question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the microphone hears."""
    path = tmp_path_factory.mktemp("speech") / "question.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(2 * RATE * GREETING_S))
        file.writeframes(LocalVoice().speak(QUESTION, RATE))
        file.writeframes(bytes(2 * RATE * 60))
    return path


@pytest_asyncio.fixture(loop_scope="session")
async def caller(stack: LocalStack, question: Path) -> AsyncIterator[Page]:
    async with browser(question) as running_browser, fresh_page(running_browser) as page:
        yield page


async def test_someone_talks_to_the_bot_from_the_browser(stack: LocalStack, caller: Page) -> None:
    from playwright.async_api import expect

    page = caller
    await sign_in(page, stack.gateway_url, stack.admin_token, to="#/phone")
    await page.get_by_role("button", name="Call", exact=True).click()
    await expect(page.get_by_text("Connected to library")).to_be_visible()
    captions = page.get_by_role("log", name="Captions")
    await expect(captions).to_contain_text("Maple Street Library", timeout=ANSWER_MS)
    await expect(captions.locator(".line.caller")).to_contain_text("opening hours", ignore_case=True, timeout=ANSWER_MS)
    # The answer comes out of the loudspeaker, not only out of the captions.
    await page.wait_for_function("e => e.value > 0.1", arg=await page.get_by_label("Bot").element_handle())
    # Heard to its end, so that the line that is said next cuts nothing off.
    await expect(captions.locator(".heard", has_text="nine to seven")).to_be_visible(timeout=ANSWER_MS)
    for words in ANSWER_WORDS:
        await expect(captions).to_contain_text(words, ignore_case=True)
    await expect(page.locator(".last-turn .total")).to_contain_text("ms")

    await page.get_by_role("link", name="Live", exact=True).click()
    card = page.get_by_role("article")
    await expect(card).to_contain_text("browser")
    await expect(card).to_contain_text("opening hours", ignore_case=True)
    await card.get_by_label("Say a line").fill("A colleague is coming to help you.")
    await card.get_by_role("button", name="Say", exact=True).click()
    said = card.locator(".heard", has_text="A colleague is coming to help you.")
    await expect(said).to_be_visible(timeout=ANSWER_MS)

    await page.get_by_role("link", name="On a call with library").click()
    await page.get_by_role("button", name="Hang up").click()
    record_link = page.get_by_role("link", name="The call's record")
    call_id = str(await record_link.get_attribute("href")).rsplit("/", 1)[-1]
    record = await record_of(stack, call_id)
    assert all(words in heard_text(record) for words in ANSWER_WORDS)
    assert record["from_number"] == "browser"
    _, caller_side, bot_side = read_stereo(stack.calls_dir / call_id / "call.wav")
    assert loud(caller_side) > 100
    assert loud(bot_side) > 100

    await record_link.click()
    await expect(page.locator("canvas")).to_be_visible()
    await expect(page.locator(".line.caller")).to_contain_text("opening hours", ignore_case=True)
    # The sound is fetched when somebody wants to hear it.
    await page.locator("button.hear").first.click()
    await page.wait_for_function("() => document.querySelector('audio').duration > 10")
    await page.get_by_role("link", name="Past calls", exact=True).click()
    await expect(page.get_by_role("row").filter(has_text="browser")).to_contain_text("library")

    await page.get_by_role("link", name="System").click()
    await expect(page.locator(".checklist .ok").filter(has_text="Streamer running")).to_be_visible()
    await expect(
        page.locator("section", has_text="Providers").get_by_role("row").filter(has_text="STT")
    ).to_be_visible()
