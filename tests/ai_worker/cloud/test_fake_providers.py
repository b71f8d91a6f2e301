"""The fakes themselves: honest about the published latencies, strict where the real API is, runnable as processes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from ai_worker.providers.base import ChatMessage
from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech
from ai_worker.providers.openai_chat import OpenAiChat
from support.fake_providers import FakeElevenLabs, FakeOpenAI

TESTS = Path(__file__).parents[2]


async def test_the_chats_pace_is_the_published_one() -> None:
    async with FakeOpenAI(answer=lambda messages: "a b c d e f", first_token_ms=120, per_token_ms=30) as server:
        chat = OpenAiChat(api_key=server.api_key, base_url=server.base_url)
        await chat.warm()
        began = time.monotonic()
        times = [time.monotonic() - began async for _ in chat.stream([ChatMessage("user", "Go on.")])]
        await chat.aclose()

    assert times[0] >= 0.12
    assert times[-1] >= 0.12 + 5 * 0.03
    assert times[-1] < 2


async def test_the_speechs_pace_is_the_published_one() -> None:
    async with FakeElevenLabs(first_byte_ms=100, speed=4.0) as server:
        speech = ElevenLabsSpeech(api_key=server.api_key, base_url=server.base_url)
        await speech.warm()
        began = time.monotonic()
        stream = speech.stream("Twenty characters ok", sample_rate=8000, voice="", language="en")
        times = [time.monotonic() - began async for _ in stream]
        await speech.aclose()

    assert times[0] >= 0.1
    assert 0.3 <= times[-1] < 2  # 1.2 s of speech, four times faster than it is spoken


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


ASKED = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
}


@pytest.mark.parametrize(
    ("messages", "status"),
    [
        ([user("Hi")], 200),
        ([user("Hi"), ASKED, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}], 200),
        ([user("Hi"), ASKED, user("And?")], 400),
        ([user("Hi"), ASKED], 400),
        ([user("Hi"), {"role": "tool", "tool_call_id": "call_2", "content": "sunny"}], 400),
        ([user("Hi"), {"role": "assistant", "content": None}], 400),
        ([{"role": "caller", "content": "Hi"}], 400),
        ([], 400),
    ],
)
async def test_a_conversation_the_api_would_refuse_is_refused(messages: list[dict[str, Any]], status: int) -> None:
    async with FakeOpenAI() as server, httpx.AsyncClient() as client:
        answer = await client.post(
            f"{server.base_url}/chat/completions",
            json={"model": "gpt-4o-mini", "messages": messages},
            headers={"authorization": f"Bearer {server.api_key}"},
        )
    assert answer.status_code == status
    assert ("error" in answer.json()) is (status == 400)


async def test_usage_comes_last_when_asked_for() -> None:
    async with FakeOpenAI() as server, httpx.AsyncClient() as client:
        answer = await client.post(
            f"{server.base_url}/chat/completions",
            json={
                "model": "gpt-4o-mini",
                "messages": [user("Hi")],
                "stream": True,
                "stream_options": {"include_usage": True},
            },
            headers={"authorization": f"Bearer {server.api_key}"},
        )
    events = answer.text.strip().split("\n\n")
    assert events[-1] == "data: [DONE]"
    assert '"choices": []' in events[-2]
    assert '"completion_tokens": 3' in events[-2]


async def test_as_a_process() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "support.fake_providers", "openai", "--first-token-ms", "0", "--answer", "Good evening."),
        *("--api-key", "sk-for-the-process"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            url = (await process.stdout.readline()).decode().strip()
        chat = OpenAiChat(api_key="sk-for-the-process", base_url=url)
        text = [piece async for piece in chat.stream([ChatMessage("user", "Hello?")])]
        await chat.aclose()
        assert len(text) == 3
    finally:
        process.send_signal(signal.SIGTERM)
        status = await process.wait()
    assert status == 0


async def test_a_connection_that_comes_as_the_server_stops_is_closed() -> None:
    loop = asyncio.get_running_loop()
    for rounds in range(8):
        with socket.socket() as client:
            client.setblocking(False)
            async with FakeOpenAI() as server:
                client.connect_ex((urlsplit(server.origin).hostname, urlsplit(server.origin).port))
                for _ in range(rounds):
                    await asyncio.sleep(0)
            with contextlib.suppress(ConnectionResetError):
                async with asyncio.timeout(5):
                    assert await loop.sock_recv(client, 1) == b""
