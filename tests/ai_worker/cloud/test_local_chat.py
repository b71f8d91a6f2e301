"""What the local model's server is asked: with a fake in its place, for what the model says is another test's."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from ai_worker.providers.base import ChatMessage, ToolSpec
from ai_worker.providers.local_chat import LocalLlama
from ai_worker.providers.local_llm import CONTEXT_TOKENS, LocalLlamaServer
from support.fake_providers import FakeOpenAI

TURN = (ChatMessage("user", "How long can I keep a book?"), ChatMessage("assistant", "For three weeks."))
LOOKUP = ToolSpec("lookup", "Looks an order up.", {"type": "object", "properties": {}})


@dataclass
class Running:
    """A server in another place."""

    base_url: str

    def close(self) -> None: ...


@pytest.mark.parametrize("path", [None, "better.gguf"])
async def test_a_conversation_that_outgrows_the_model_goes_on(
    monkeypatch: pytest.MonkeyPatch, openai_server: FakeOpenAI, path: str | None
) -> None:
    openai_server.api_key, openai_server.models = "local", ("local",)
    monkeypatch.setattr(LocalLlamaServer, "start", lambda *_: Running(openai_server.base_url))
    chat = LocalLlama(model_path=path, threads=1, parallel=4, max_tokens=60)
    messages = [ChatMessage("system", "Be brief."), *TURN * 1000, ChatMessage("user", "And a film?")]

    assert [delta async for delta in chat.stream(messages, tools=[LOOKUP])]
    await chat.aclose()

    asked = openai_server.requests[0].json
    sent = asked["messages"]
    assert (sent[0]["content"], sent[1]["role"], sent[-1]["content"]) == ("Be brief.", "user", "And a film?")
    letters = sum(len(message["content"]) for message in sent)
    assert CONTEXT_TOKENS / 4 / 4 < letters < CONTEXT_TOKENS / 4 * 3
    assert ("tools" in asked) is bool(path)
