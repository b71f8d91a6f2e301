"""What holds for every voice in the cloud: silence, closing, dead connections, stalls, damaged answers, the key."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest

from ai_worker.providers.base import ProviderDenied, ProviderError, ProviderRefused, ProviderTimeout
from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech
from ai_worker.providers.openai_tts import OpenAiSpeech
from support.fake_providers import (
    CutAfter,
    Drop,
    EndAfter,
    FakeElevenLabs,
    FakeOpenAI,
    Fault,
    HoldAfter,
    Refuse,
    SlowDrip,
    tone,
)
from support.speech_stream import audio, next_audio

SENTENCE = "Good morning, what can I do for you?"

Speech = ElevenLabsSpeech | OpenAiSpeech


@dataclass
class Place:
    """One API's server, and how to make its client."""

    server: FakeElevenLabs | FakeOpenAI
    make: Callable[..., Speech]

    def speech(self, **options: object) -> Speech:
        return self.make(**{"api_key": self.server.api_key, "base_url": self.server.base_url} | options)

    async def failure(self, *faults: Fault, **options: object) -> ProviderError:
        self.server.fail_next(*faults)
        speech = self.speech(**options)
        try:
            with pytest.raises(ProviderError) as failure:
                await spoken(speech)
        finally:
            await speech.aclose()
        return failure.value


@pytest.fixture(params=[(FakeElevenLabs, ElevenLabsSpeech), (FakeOpenAI, OpenAiSpeech)], ids=["elevenlabs", "openai"])
async def place(nothing_left: None, request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    fake, make = request.param
    async with fake() as server:
        yield Place(server, make)


@pytest.fixture
async def speech(place: Place) -> AsyncIterator[Speech]:
    speech = place.speech()
    yield speech
    await speech.aclose()


async def spoken(speech: Speech, text: str = SENTENCE, *, rate: int = 8000) -> int:
    """How many bytes of sound."""
    return len(b"".join(await audio(speech.stream(text, sample_rate=rate, voice="", language="en"))))


WHOLE = len(tone(SENTENCE, 8000))


async def test_closing_and_cancelling_close_the_connection(place: Place, speech: Speech) -> None:
    place.server.fail_next(HoldAfter(2), HoldAfter(0))
    stream = speech.stream(SENTENCE, sample_rate=8000, voice="", language="en")
    await next_audio(stream)
    await stream.aclose()
    asking = asyncio.ensure_future(spoken(speech))
    await place.server.request(1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    async with asyncio.timeout(1):
        for request in place.server.requests:
            await request.disconnected.wait()
    assert await spoken(speech) == WHOLE  # and the client goes on


async def test_one_warm_connection_serves_every_sentence(place: Place, speech: Speech) -> None:
    await speech.warm()
    for _ in range(3):
        await spoken(speech)

    assert len(place.server.opened_at) == 1


async def test_text_without_words_is_silence(place: Place, speech: Speech) -> None:
    for text in ("", "  \n", "…", "!?"):
        assert await spoken(speech, text) == 0
    assert not place.server.requests


async def test_a_rate_that_is_not_a_calls_is_refused(speech: Speech) -> None:
    with pytest.raises(ValueError, match="8000 or 16000"):
        await spoken(speech, rate=24000)


async def test_a_connection_that_died_in_the_pool_costs_one_more_try(place: Place, speech: Speech) -> None:
    place.server.fail_next(Drop())
    assert await spoken(speech) == WHOLE
    assert len(place.server.requests) == 2

    error = await place.failure(Drop(), Drop())
    assert error.retryable
    assert len(place.server.requests) == 4


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Refuse(500, "Oops."), "HTTP 500"),
        (CutAfter(0), "connection failed"),
        (CutAfter(2), "connection failed"),
        (EndAfter(0), "no audio"),
    ],
    ids=str,
)
async def test_what_may_pass_is_retryable(place: Place, fault: Fault, says: str) -> None:
    error = await place.failure(fault)

    assert error.retryable
    assert says in str(error)
    assert len(place.server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (HoldAfter(0), "the first audio did not come within 0.6 s"),
        (HoldAfter(2), "the next audio did not come within 0.3 s"),
        (SlowDrip(0.4), "the next audio did not come within 0.3 s"),
    ],
    ids=str,
)
async def test_a_stall_is_a_timeout(place: Place, fault: Fault, reason: str) -> None:
    # What is to come in time has time enough on a busy machine.
    first = 0.6 if "first" in reason else 10.0
    error = await place.failure(fault, first_byte_timeout=first, between_bytes_timeout=0.3)

    assert isinstance(error, ProviderTimeout)
    assert error.reason == reason
    async with asyncio.timeout(1):
        await place.server.requests[0].disconnected.wait()


async def test_an_answer_that_is_not_audio_is_not_spoken(place: Place) -> None:
    page = "text/html; charset=utf-8"
    if isinstance(place.server, FakeOpenAI):
        place.server.speech_type = page
    else:
        place.server.media_type = page
    assert "audio expected" in str(await place.failure())


async def test_warming_reports_a_wrong_key(place: Place) -> None:
    speech = place.speech(api_key="a-wrong-key")
    with pytest.raises(ProviderDenied, match="key was not accepted"):
        await speech.warm()
    await speech.aclose()


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_the_key_is_in_no_error(place: Place, status: int) -> None:
    error = await place.failure(Refuse(status, f"Bad key {place.server.api_key}"))

    assert isinstance(error, ProviderRefused) is (status in (400, 401))
    assert place.server.api_key not in "".join(traceback.format_exception(error))
