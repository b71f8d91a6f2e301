"""The fake providers' servers, a caller heard live by one, and the check that a provider leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from support.fake_providers import FakeElevenLabs, FakeOpenAI
from support.live_talk import Talk


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """Fails when a test leaves a task behind; unclosed sockets are warnings, and those are errors."""
    before = asyncio.all_tasks()
    yield
    before.add(asyncio.current_task())  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(2):
            while left := asyncio.all_tasks() - before:
                await asyncio.wait(left)
    except TimeoutError:
        pytest.fail(f"tasks left behind: {left}")


@pytest.fixture
async def openai_server(nothing_left: None) -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI() as server:
        yield server


@pytest.fixture
async def elevenlabs_server(nothing_left: None) -> AsyncIterator[FakeElevenLabs]:
    async with FakeElevenLabs() as server:
        yield server


@pytest.fixture
async def talk(elevenlabs_server: FakeElevenLabs) -> AsyncIterator[Talk]:
    talk = Talk(elevenlabs_server)
    yield talk
    await talk.aclose()
