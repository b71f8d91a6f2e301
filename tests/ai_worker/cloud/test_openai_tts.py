"""OpenAI's streamed speech through the SDK against a server that speaks the API: its 24 kHz as the call's own rate."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest

from ai_worker.providers.base import ProviderError, ProviderRefused
from ai_worker.providers.openai_tts import OpenAiSpeech
from support.fake_providers import FakeOpenAI, Fault, HoldAfter, Refuse, tone
from support.speech_stream import SENTENCE, audio, spoken


@pytest.fixture
async def speech(openai_server: FakeOpenAI) -> AsyncIterator[OpenAiSpeech]:
    provider = OpenAiSpeech(api_key=openai_server.api_key, base_url=openai_server.base_url)
    yield provider
    await provider.aclose()


async def failure_of(server: FakeOpenAI, *faults: Fault, **settings: object) -> ProviderError:
    server.fail_next(*faults)
    options = {"api_key": server.api_key, "base_url": server.base_url} | settings
    speech = OpenAiSpeech(**options)  # type: ignore[arg-type]
    try:
        with pytest.raises(ProviderError) as failure:
            await spoken(speech)
    finally:
        await speech.aclose()
    return failure.value


def off(pcm: bytes, text: str, rate: int) -> float:
    """The largest difference to the same sound at that rate, of 32768; its hard edges, which ring, left out."""
    found, expected = np.frombuffer(pcm, "<i2").astype(int), np.frombuffer(tone(text, rate), "<i2").astype(int)
    assert len(found) == len(expected)
    edge = rate // 100
    return float(np.abs(found - expected)[edge:-edge].max())


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_speech_at_the_calls_own_rate(openai_server: FakeOpenAI, speech: OpenAiSpeech, rate: int) -> None:
    pcm = b"".join(await spoken(speech, rate=rate, language="fr"))

    assert off(pcm, SENTENCE, rate) < 80
    request = openai_server.requests[0]
    assert request.path == "/v1/audio/speech"
    assert request.headers["authorization"] == f"Bearer {openai_server.api_key}"
    assert request.json == {
        "input": SENTENCE,
        "model": "gpt-4o-mini-tts",
        "voice": "alloy",
        "response_format": "pcm",
        "instructions": "Speak the language with the ISO 639-1 code fr.",
    }


async def test_a_voice_and_a_model_that_takes_no_instructions(openai_server: FakeOpenAI) -> None:
    speech = OpenAiSpeech(api_key=openai_server.api_key, base_url=openai_server.base_url, model="tts-1")
    await spoken(speech, voice="coral")
    await speech.aclose()

    assert openai_server.requests[0].json["voice"] == "coral"
    assert "instructions" not in openai_server.requests[0].json


@pytest.mark.parametrize("piece_bytes", [1, 3, 333, 100_000])
async def test_pieces_of_any_length_are_one_sound(
    openai_server: FakeOpenAI, speech: OpenAiSpeech, piece_bytes: int
) -> None:
    openai_server.piece_bytes, openai_server.speed = piece_bytes, 10_000.0
    text = "Hi." if piece_bytes < 10 else SENTENCE
    chunks = await spoken(speech, text)

    assert all(chunk and len(chunk) % 2 == 0 for chunk in chunks)
    assert off(b"".join(chunks), text, 8000) < 80


async def test_a_loud_sound_does_not_wrap_around(openai_server: FakeOpenAI, speech: OpenAiSpeech) -> None:
    square = np.where(np.arange(24000) % 60 < 30, 32767, -32768).astype("<i2").tobytes()
    openai_server.speak = lambda text, rate: square
    found = np.frombuffer(b"".join(await spoken(speech)), "<i2").astype(int)

    assert found.max() == 32767
    assert found.min() == -32768
    # A wrapped peak would stand between two samples of the other sign.
    middle = found[1:-1]
    assert not np.any((np.abs(middle - found[:-2]) > 50_000) & (np.abs(middle - found[2:]) > 50_000))


async def test_audio_comes_before_the_next_is_sent(openai_server: FakeOpenAI, speech: OpenAiSpeech) -> None:
    go_on = asyncio.Event()
    openai_server.piece_bytes = 960  # 20 ms
    openai_server.fail_next(HoldAfter(pieces=1, until=go_on))

    async with contextlib.aclosing(speech.stream(SENTENCE, sample_rate=8000, voice="", language="en")) as stream:
        first = await anext(stream)
        assert len(first) >= 2 * 8 * 17  # the filter holds back 2.5 ms
        assert openai_server.requests[0].pieces_sent == 1
        go_on.set()
        rest = await audio(stream)
    assert off(first + b"".join(rest), SENTENCE, 8000) < 80


@pytest.mark.parametrize(
    ("fault", "retryable", "says"),
    [
        (Refuse(400, "Invalid voice."), False, "Invalid voice"),
        (Refuse(401, code="invalid_api_key"), False, "key was not accepted"),
        (Refuse(429, code="insufficient_quota"), False, "no credit"),
        (Refuse(404, "No such model.", code="model_not_found"), False, "No such model"),
        (Refuse(429, "Too many.", code="rate_limit_exceeded", retry_after="3"), True, "Too many"),
    ],
    ids=str,
)
async def test_a_failure_says_whether_to_try_again(
    openai_server: FakeOpenAI, fault: Fault, retryable: bool, says: str
) -> None:
    error = await failure_of(openai_server, fault)

    assert error.retryable is retryable
    assert isinstance(error, ProviderRefused) is not retryable
    assert says in str(error)
    assert error.retry_after == (3.0 if isinstance(fault, Refuse) and fault.retry_after else None)
    assert len(openai_server.requests) == 1
