"""Transcription through the SDK against a server that speaks the API: the audio on the wire, streaming, retries."""

from __future__ import annotations

import asyncio
import io
import math
import struct
import time
import traceback
import wave

import pytest

from ai_worker.providers.base import ProviderError, ProviderRefused, ProviderTimeout
from ai_worker.providers.openai_stt import OpenAiTranscription
from support.fake_providers import CutAfter, Drop, EndAfter, FakeOpenAI, Fault, HoldAfter, Refuse

MODELS = ["gpt-4o-mini-transcribe", "whisper-1"]


def speech(sample_rate: int, seconds: float = 0.5) -> bytes:
    """A rising tone, s16le mono: every sample differs, so that a shifted or shortened copy is seen."""
    count = round(sample_rate * seconds)
    return struct.pack(f"<{count}h", *(round(9000 * math.sin(i * i / 4000)) for i in range(count)))


def transcriber(server: FakeOpenAI, **settings: object) -> OpenAiTranscription:
    options = {"api_key": server.api_key, "base_url": server.base_url} | settings
    return OpenAiTranscription(**options)  # type: ignore[arg-type]


async def heard(stt: OpenAiTranscription, language: str = "en") -> str:
    try:
        return (await stt.transcribe(speech(8000), 8000, language=language)).text
    finally:
        await stt.aclose()


async def failure_of(server: FakeOpenAI, *faults: Fault, **settings: object) -> ProviderError:
    server.fail_next(*faults)
    with pytest.raises(ProviderError) as failure:
        await heard(transcriber(server, **settings))
    return failure.value


async def test_half_a_character_in_the_words_is_left_out(openai_server: FakeOpenAI) -> None:
    openai_server.hear = lambda wav, language: "Yes \ud83d\ude00 please \ud83d"
    assert await heard(transcriber(openai_server)) == "Yes \N{GRINNING FACE} please"


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("sample_rate", [8000, 16000])
async def test_the_audio_arrives_as_it_was_said(openai_server: FakeOpenAI, model: str, sample_rate: int) -> None:
    files: list[tuple[bytes, str]] = []

    def hear(wav: bytes, language: str) -> str:
        files.append((wav, language))
        return "Go forward ten meters."

    openai_server.hear = hear
    stt = transcriber(openai_server, model=model)
    pcm = speech(sample_rate)
    transcript = await stt.transcribe(pcm, sample_rate, language="fr")
    await stt.aclose()

    assert transcript.text == "Go forward ten meters."
    ((file, language),) = files
    assert language == "fr"
    with wave.open(io.BytesIO(file)) as audio:
        assert (audio.getframerate(), audio.getnchannels(), audio.getsampwidth()) == (sample_rate, 1, 2)
        assert audio.readframes(audio.getnframes()) == pcm
    request = openai_server.requests[0]
    assert request.headers["authorization"] == f"Bearer {openai_server.api_key}"
    assert request.form["model"].decode() == model
    assert request.form["response_format"] == b"json"
    assert (request.form.get("stream") == b"true") is (model != "whisper-1")
    assert "prompt" not in request.form


async def test_prompt_and_no_language(openai_server: FakeOpenAI) -> None:
    assert await heard(transcriber(openai_server, prompt="Ringover, Aramis"), language="") == "Hello, can you hear me?"

    assert openai_server.requests[0].form["prompt"] == b"Ringover, Aramis"
    assert "language" not in openai_server.requests[0].form


@pytest.mark.parametrize("model", MODELS)
async def test_no_words_are_an_empty_transcript(openai_server: FakeOpenAI, model: str) -> None:
    openai_server.hear = lambda wav, language: " "
    assert await heard(transcriber(openai_server, model=model)) == ""


async def test_audio_too_short_for_the_api_is_not_sent(openai_server: FakeOpenAI) -> None:
    stt = transcriber(openai_server)
    assert (await stt.transcribe(speech(8000, 0.09), 8000, language="en")).text == ""
    assert not openai_server.requests
    assert (await stt.transcribe(speech(8000, 0.1), 8000, language="en")).text
    await stt.aclose()


async def test_one_connection_serves_every_utterance(openai_server: FakeOpenAI) -> None:
    stt = transcriber(openai_server)
    await stt.warm()
    for _ in range(3):
        await stt.transcribe(speech(8000), 8000, language="en")
    await stt.aclose()

    assert len(openai_server.peers) == 1


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("fault", [Refuse(500), Refuse(429, retry_after="0"), Drop(), CutAfter(0)], ids=str)
async def test_a_passing_failure_is_tried_again(openai_server: FakeOpenAI, model: str, fault: Fault) -> None:
    openai_server.fail_next(fault)

    assert await heard(transcriber(openai_server, model=model)) == "Hello, can you hear me?"
    assert len(openai_server.requests) == 2


async def test_a_second_failure_is_reported(openai_server: FakeOpenAI) -> None:
    error = await failure_of(openai_server, Refuse(500), Refuse(503, "Still down.", retry_after="7"))

    assert error.retryable
    assert error.retry_after == 7.0
    assert "Still down" in str(error)
    assert len(openai_server.requests) == 2


async def test_a_long_retry_after_is_the_callers_business(openai_server: FakeOpenAI) -> None:
    began = time.monotonic()
    error = await failure_of(openai_server, Refuse(429, retry_after="20"))

    assert error.retry_after == 20.0
    assert len(openai_server.requests) == 1
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("fault", [Refuse(400), Refuse(401), Refuse(404), Refuse(429, code="insufficient_quota")])
async def test_a_refusal_is_not_tried_again(openai_server: FakeOpenAI, fault: Refuse) -> None:
    error = await failure_of(openai_server, fault)

    assert isinstance(error, ProviderRefused)
    assert len(openai_server.requests) == 1


@pytest.mark.parametrize(
    ("model", "pieces"), [("whisper-1", 0), ("gpt-4o-mini-transcribe", 0), ("gpt-4o-mini-transcribe", 2)]
)
async def test_a_transcript_that_does_not_come_in_time(openai_server: FakeOpenAI, model: str, pieces: int) -> None:
    error = await failure_of(openai_server, HoldAfter(pieces), model=model, timeout=0.6)

    assert isinstance(error, ProviderTimeout)
    assert error.reason == "the transcript did not come within 0.6 s"
    async with asyncio.timeout(1):
        await openai_server.requests[0].disconnected.wait()


async def test_the_second_attempt_has_what_is_left_of_the_time(openai_server: FakeOpenAI) -> None:
    began = time.monotonic()
    error = await failure_of(openai_server, Refuse(500), HoldAfter(0), timeout=2.0)

    assert isinstance(error, ProviderTimeout)
    assert 1.95 < time.monotonic() - began < 6
    assert len(openai_server.requests) == 2


async def test_a_stream_without_its_last_event_is_retryable(openai_server: FakeOpenAI) -> None:
    error = await failure_of(openai_server, EndAfter(2), EndAfter(2))

    assert error.retryable
    assert "without a transcript" in str(error)


async def test_a_server_that_does_not_stream_is_named(openai_server: FakeOpenAI) -> None:
    with pytest.raises(ProviderError, match="streaming=False"):
        await heard(transcriber(openai_server, model="whisper-1", streaming=True))


async def test_cancelling_closes_the_connection(openai_server: FakeOpenAI) -> None:
    openai_server.fail_next(HoldAfter(1))
    asking = asyncio.ensure_future(heard(transcriber(openai_server)))
    request = await openai_server.request()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    async with asyncio.timeout(1):
        await request.disconnected.wait()


@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_the_key_is_in_no_error(openai_server: FakeOpenAI, status: int) -> None:
    refuse = Refuse(status, f"Bad key {openai_server.api_key}")
    error = await failure_of(openai_server, refuse, refuse)

    assert openai_server.api_key not in "".join(traceback.format_exception(error))
