"""llama.cpp's server in this process, spoken to by the client that production uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from openai import APIConnectionError, AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from ai_worker.providers.base import ProviderRefused
from ai_worker.providers.local_llm import LocalLlamaServer

pytestmark = pytest.mark.speech

MESSAGES: list[ChatCompletionMessageParam] = [
    {
        "role": "system",
        "content": "You are the phone assistant of Riverside Library. Answer in one short sentence.\n"
        "Facts:\n- Books can be kept for three weeks.\n- We are closed on Sunday.",
    },
    {"role": "user", "content": "Where are you?"},
    {"role": "assistant", "content": "We are at 12 River Street, next to the town hall."},
    {"role": "user", "content": "How long can I keep a book?"},
]


@pytest.fixture(scope="module")
def server() -> Iterator[LocalLlamaServer]:
    server = LocalLlamaServer.start(None, threads=2, parallel=2)
    yield server
    server.close()


@pytest.fixture(autouse=True)
async def sdk_has_settled() -> AsyncIterator[None]:
    """The SDK leaves its inner generators to the loop, which closes them a few steps after an answer's end."""
    before = asyncio.all_tasks()
    yield
    async with asyncio.timeout(5):
        while left := asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.wait(left)


def client(server: LocalLlamaServer) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=server.base_url, api_key="any", max_retries=0, timeout=20)


async def ask(openai: AsyncOpenAI) -> list[str]:
    stream = await openai.chat.completions.create(model="local", messages=MESSAGES, stream=True, max_tokens=30)
    return [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]


async def answer_at_length(openai: AsyncOpenAI, begun: asyncio.Event) -> None:
    stream = await openai.chat.completions.create(
        model="local", messages=MESSAGES, stream=True, max_tokens=4000, extra_body={"ignore_eos": True}
    )
    async for _ in stream:
        begun.set()


async def test_the_answer_streams(server: LocalLlamaServer) -> None:
    async with client(server) as openai:
        pieces = [piece for piece in await ask(openai) if piece]
    assert len(pieces) >= 5
    assert "three weeks" in "".join(pieces)


async def test_several_calls_are_answered_at_once(server: LocalLlamaServer) -> None:
    async with client(server) as openai:
        answers = await asyncio.gather(*(ask(openai) for _ in range(3)))
    assert all("three weeks" in "".join(answer) for answer in answers)


async def test_the_model_has_a_name(server: LocalLlamaServer) -> None:
    async with client(server) as openai:
        assert [model.id async for model in openai.models.list()] == ["local"]


async def test_nothing_is_written_to_the_terminal(server: LocalLlamaServer, capfd: pytest.CaptureFixture[str]) -> None:
    async with client(server) as openai:
        await ask(openai)
    assert capfd.readouterr() == ("", "")


async def test_closed_is_gone_even_in_the_middle_of_an_answer() -> None:
    server = await asyncio.to_thread(LocalLlamaServer.start, None, 1, 1)
    async with client(server) as openai:
        begun = asyncio.Event()
        answering = asyncio.create_task(answer_at_length(openai, begun))
        await begun.wait()
        started = asyncio.get_running_loop().time()
        await asyncio.to_thread(server.close)
        assert asyncio.get_running_loop().time() - started < 15
        await asyncio.gather(answering, return_exceptions=True)
        with pytest.raises(APIConnectionError):
            await openai.models.list()
    server.close()


def test_a_missing_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProviderRefused, match=r"no model at .*absent\.gguf"):
        LocalLlamaServer.start(str(tmp_path / "absent.gguf"), 1, 1)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.gguf"
    path.write_text("words")
    with pytest.raises(ProviderRefused, match=r"text\.gguf is no GGUF"):
        LocalLlamaServer.start(str(path), 1, 1)
