"""One Chromium for all browser tests; a backend and a page for each."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from support import console_samples as samples
from support import recordings
from support.console_backend import Console, console_backend
from support.console_browser import browser, fresh_page, require_browser

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

MICROPHONE = "librivox_0880"


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's microphone hears: a real sentence, at 16 kHz, with silence after it."""
    path = tmp_path_factory.mktemp("speech") / "microphone.wav"
    spoken = recordings.load_wideband(MICROPHONE)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(spoken.sample_rate)
        file.writeframes(spoken.pcm + bytes(2 * spoken.sample_rate * 20))
    return path


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium(speech: Path) -> AsyncIterator[Browser]:
    require_browser()
    async with browser(speech) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def backend() -> AsyncIterator[Console]:
    async with console_backend() as console:
        yield console


@pytest_asyncio.fixture(loop_scope="session")
async def page(chromium: Browser, backend: Console) -> AsyncIterator[Page]:
    async with fresh_page(chromium) as page:
        yield page


@pytest.fixture
def one_call(backend: Console, tmp_path: Path) -> None:
    """A past call with its recording: 12 s of silence, which is long enough to choose places in."""
    backend.wav = tmp_path / "call.wav"
    with wave.open(str(backend.wav), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(4 * 8000 * 12))
    backend.records["past-1"] = samples.record()
