"""Connections over real sockets: warm again after what closes them, and none left when a provider is closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from ai_worker.providers import _connections
from ai_worker.providers._connections import Connections
from ai_worker.providers._http_errors import ErrorMap
from ai_worker.providers.base import ChatMessage, ProviderError
from ai_worker.providers.elevenlabs_stt import ElevenLabsTranscription
from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech
from ai_worker.providers.openai_chat import OpenAiChat
from ai_worker.providers.openai_stt import OpenAiTranscription
from ai_worker.providers.openai_tts import OpenAiSpeech
from support.fake_providers import FakeElevenLabs, FakeOpenAI, FakeServer, HoldAfter
from support.waiting import until

UTTERANCE = bytes(8000)
# In so many rounds of the event loop each of them has connected.
ROUNDS = 20


async def speak(provider: Any) -> None:
    async with aclosing(provider.stream("Good morning.", sample_rate=8000, voice="", language="en")) as speech:
        async for _ in speech:
            pass


async def think(provider: Any) -> None:
    async with aclosing(provider.stream([ChatMessage("user", "Hi")])) as deltas:
        async for _ in deltas:
            pass


async def transcribe(provider: Any) -> None:
    await provider.transcribe(UTTERANCE, 8000, language="en")


@dataclass
class Place:
    """One provider's server, and how to use it."""

    server: FakeServer
    make: Callable[..., Any]
    ask: Callable[[Any], Awaitable[None]]

    def provider(self) -> Any:
        return self.make(api_key=self.server.api_key, base_url=self.server.base_url)

    def asking(self, provider: Any) -> asyncio.Future[None]:
        return asyncio.ensure_future(self.ask(provider))


@pytest.fixture(
    params=[
        (FakeElevenLabs, ElevenLabsSpeech, speak),
        (FakeElevenLabs, ElevenLabsTranscription, transcribe),
        (FakeOpenAI, OpenAiSpeech, speak),
        (FakeOpenAI, OpenAiTranscription, transcribe),
        (FakeOpenAI, OpenAiChat, think),
    ],
    ids=lambda param: param[1].__name__,
)
async def place(nothing_left: None, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    fake, make, ask = request.param
    async with fake() as server:
        yield Place(server, make, ask)


async def cancelled(asking: asyncio.Future[None]) -> None:
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_the_request_after_a_cancelled_one_finds_an_open_connection(place: Place) -> None:
    provider = place.provider()
    await provider.warm()
    for number in range(2):
        place.server.fail_next(HoldAfter(0))
        asking = place.asking(provider)
        held = await place.server.request(len(place.server.requests))
        before = set(place.server.answered)
        await cancelled(asking)
        await until(lambda before=before: len(place.server.answered - before) == 1)  # type: ignore[misc]
        for _ in range(ROUNDS):
            await asyncio.sleep(0)  # until the client has read that answer too

        asked_at = time.monotonic()
        await place.ask(provider)
        used = place.server.requests[-1].peer
        assert used != held.peer
        assert place.server.opened_at[used] < asked_at, f"turn {number} had to connect"
    await provider.aclose()


@pytest.mark.parametrize("end", ["cancelled", "closed"])
async def test_no_connection_is_left_wherever_a_request_is_when_its_provider_is_closed(place: Place, end: str) -> None:
    for rounds in [*range(ROUNDS), None]:
        provider = place.provider()
        place.server.fail_next(HoldAfter(0))
        asking = place.asking(provider)
        if rounds is None:
            await place.server.request(len(place.server.requests))
        for _ in range(rounds or 0):
            await asyncio.sleep(0)
        if end == "cancelled":
            await cancelled(asking)
        async with asyncio.timeout(2):
            await provider.aclose()
        if end == "closed":
            with pytest.raises(ProviderError):
                await asking
        await until(lambda: not place.server.open_connections)
        place.server.forget_faults()


async def test_a_closed_provider_asks_for_nothing(place: Place) -> None:
    provider = place.provider()
    await provider.warm()
    await provider.aclose()
    opened = len(place.server.opened_at)
    with pytest.raises(ProviderError, match="closed"):
        await place.ask(provider)
    assert len(place.server.opened_at) == opened


# --- the keeper by itself


def connections(http: httpx.AsyncClient, server: FakeServer, *, idle: float | None) -> Connections:
    async def renew() -> None:
        await http.head(server.origin)

    return Connections(ErrorMap("some", "key-of-the-test"), renew=renew, close=http.aclose, idle=idle)


async def test_an_idle_connection_is_used_before_the_server_closes_it() -> None:
    server = FakeOpenAI()
    server.keep_alive = 0.8
    async with server:
        for idle, kept in ((None, False), (0.1, True)):
            http = httpx.AsyncClient()
            keeper = connections(http, server, idle=idle)
            with keeper.request():
                await http.head(server.origin)
            [connection] = server.open_connections
            began = time.monotonic()
            await until(lambda began=began: time.monotonic() - began > 1.2)  # type: ignore[misc]
            assert (server.open_connections == {connection}) is kept
            await keeper.aclose()
            await until(lambda: not server.open_connections)


async def test_closing_is_not_stopped_half_way(openai_server: FakeOpenAI) -> None:
    for rounds in range(8):
        http = httpx.AsyncClient()
        keeper = connections(http, openai_server, idle=None)
        await asyncio.gather(*(http.head(openai_server.origin) for _ in range(3)))
        closing = asyncio.ensure_future(keeper.aclose())
        for _ in range(rounds):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        if rounds:
            await until(lambda: not openai_server.open_connections)
        await http.aclose()
    assert rounds


async def test_a_burst_of_cancelled_requests_opens_few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connections, "MOST_RENEWED_AT_ONCE", 3)
    gate, running, most = asyncio.Event(), 0, 0

    async def renew() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    async def close() -> None:
        assert running == 0

    keeper = Connections(ErrorMap("some", "key-of-the-test"), renew=renew, close=close, idle=None)
    for _ in range(10):
        with pytest.raises(asyncio.CancelledError), keeper.request():
            raise asyncio.CancelledError
    await until(lambda: running == 3)
    gate.set()
    await until(lambda: running == 0)
    assert most == 3
    await keeper.aclose()
