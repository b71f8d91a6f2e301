"""A real headless Chromium for the console's tests, with a WAV file as its microphone."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

PATIENCE_MS = 8000
"""How long an expectation waits for the page."""


def require_browser() -> str:
    """Chromium's path; skips the test where it or playwright is missing, unless CONSOLE_BROWSER_REQUIRED=1."""
    chromium = shutil.which("chromium")
    missing = [] if chromium else ["chromium (Debian: apt-get install chromium)"]
    if importlib.util.find_spec("playwright") is None:
        missing.append("playwright (pip install playwright)")
    if chromium is None or missing:
        reason = f"the console's browser tests need {' and '.join(missing)}"
        if os.environ.get("CONSOLE_BROWSER_REQUIRED") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return chromium


@asynccontextmanager
async def browser(microphone: Path) -> AsyncIterator[Browser]:
    """Chromium, which hears the WAV file once from the moment a page opens the microphone."""
    chromium = require_browser()
    from playwright.async_api import async_playwright

    arguments = [
        "--no-sandbox",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
    ]
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium, args=arguments)
        try:
            yield running
        finally:
            await running.close()


@asynccontextmanager
async def fresh_page(
    running: Browser, *, scheme: str = "light", width: int = 1200, height: int = 900
) -> AsyncIterator[Page]:
    """A page without any cookies. Fails the test if the page raised an error or broke its own security policy."""
    dark = scheme == "dark"
    context = await running.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        locale="en-GB",
        timezone_id="Europe/Paris",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None)
    try:
        yield page
        assert wrong == [], wrong
    finally:
        await context.close()


async def sign_in(page: Page, url: str, token: str, *, to: str = "#/live") -> None:
    """Open the console at a page of it, and sign in."""
    await page.goto(f"{url}/console{to}")
    await page.get_by_label("Admin token").fill(token)
    await page.get_by_role("button", name="Sign in").click()
    await page.locator("#nav").wait_for()
