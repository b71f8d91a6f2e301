"""A chat with the fake OpenAI server through the SDK, and what it always answers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ai_worker.providers.openai_chat import OpenAiChat
from support.fake_providers import FakeOpenAI

ANSWER = "Yes, we are open from ten to four on Sunday."


@pytest.fixture
async def chat(openai_server: FakeOpenAI) -> AsyncIterator[OpenAiChat]:
    openai_server.answer = lambda messages: ANSWER
    provider = OpenAiChat(api_key=openai_server.api_key, base_url=openai_server.base_url)
    yield provider
    await provider.aclose()
