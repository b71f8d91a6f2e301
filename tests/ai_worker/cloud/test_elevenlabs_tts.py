"""Streamed speech through the SDK against a server that speaks the API: whole samples, order, cancelling, errors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from ai_worker.providers.base import ProviderError, ProviderRefused, ProviderTimeout
from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech
from support.fake_providers import FakeElevenLabs, Fault, HoldAfter, Refuse, tone
from support.speech_stream import SENTENCE, audio, next_audio, spoken


@pytest.fixture
async def speech(elevenlabs_server: FakeElevenLabs) -> AsyncIterator[ElevenLabsSpeech]:
    provider = ElevenLabsSpeech(api_key=elevenlabs_server.api_key, base_url=elevenlabs_server.base_url)
    yield provider
    await provider.aclose()


async def failure_of(server: FakeElevenLabs, *faults: Fault, **settings: float) -> ProviderError:
    server.fail_next(*faults)
    speech = ElevenLabsSpeech(api_key=server.api_key, base_url=server.base_url, **settings)  # type: ignore[arg-type]
    try:
        with pytest.raises(ProviderError) as failure:
            await spoken(speech)
    finally:
        await speech.aclose()
    return failure.value


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_speech_at_the_calls_own_rate(
    elevenlabs_server: FakeElevenLabs, speech: ElevenLabsSpeech, rate: int
) -> None:
    chunks = await spoken(speech, rate=rate, language="fr")

    assert b"".join(chunks) == tone(SENTENCE, rate)
    request = elevenlabs_server.requests[0]
    assert request.path == "/v1/text-to-speech/JBFqnCBsd6RMkjVDRZzb/stream/with-timestamps"
    assert request.query == {"output_format": f"pcm_{rate}"}
    assert request.headers["xi-api-key"] == elevenlabs_server.api_key
    sent = {key: value for key, value in request.json.items() if value is not None}
    assert sent == {"text": SENTENCE, "model_id": "eleven_flash_v2_5", "language_code": "fr"}


async def test_a_voice_by_its_id(elevenlabs_server: FakeElevenLabs, speech: ElevenLabsSpeech) -> None:
    await spoken(speech, voice="EXAVITQu4vr4xnSDxMaL")
    await spoken(speech, voice="a voice", language="")

    assert elevenlabs_server.requests[0].path == "/v1/text-to-speech/EXAVITQu4vr4xnSDxMaL/stream/with-timestamps"
    assert elevenlabs_server.requests[1].path == "/v1/text-to-speech/a voice/stream/with-timestamps"
    assert elevenlabs_server.requests[1].json.get("language_code") is None


@pytest.mark.parametrize("piece_bytes", [1, 3, 333])
async def test_pieces_never_split_a_sample(
    elevenlabs_server: FakeElevenLabs, speech: ElevenLabsSpeech, piece_bytes: int
) -> None:
    elevenlabs_server.piece_bytes = piece_bytes
    elevenlabs_server.speed = 1000.0
    chunks = await spoken(speech, "Hi.")

    assert all(chunk and len(chunk) % 2 == 0 for chunk in chunks)
    assert b"".join(chunks) == tone("Hi.", 8000)


async def test_audio_comes_before_the_next_is_sent(elevenlabs_server: FakeElevenLabs, speech: ElevenLabsSpeech) -> None:
    go_on = asyncio.Event()
    elevenlabs_server.piece_bytes = 320  # 20 ms: less than the SDK's own chunks
    elevenlabs_server.fail_next(HoldAfter(pieces=1, until=go_on))

    async with contextlib.aclosing(speech.stream(SENTENCE, sample_rate=8000, voice="", language="en")) as stream:
        first = await next_audio(stream)
        assert len(first) == 320
        assert elevenlabs_server.requests[0].pieces_sent == 1
        go_on.set()
        rest = await audio(stream)
    assert first + b"".join(rest) == tone(SENTENCE, 8000)


@pytest.mark.parametrize(
    ("fault", "retryable", "says"),
    [
        (Refuse(400, "Model does not exist.", code="invalid_model"), False, "Model does not exist"),
        (Refuse(401, code="invalid_api_key"), False, "key was not accepted"),
        (Refuse(401, code="quota_exceeded"), False, "no credit"),
        (Refuse(404, "No such voice.", code="voice_not_found"), False, "No such voice"),
        (Refuse(422, "text: field required"), False, "field required"),
        (Refuse(429, "Too many.", code="too_many_concurrent_requests", retry_after="3"), True, "Too many"),
    ],
    ids=str,
)
async def test_a_failure_says_whether_to_try_again(
    elevenlabs_server: FakeElevenLabs, fault: Fault, retryable: bool, says: str
) -> None:
    error = await failure_of(elevenlabs_server, fault)

    assert error.retryable is retryable
    assert isinstance(error, ProviderRefused) is not retryable
    assert says in str(error)
    assert error.retry_after == (3.0 if isinstance(fault, Refuse) and fault.status == 429 else None)
    assert len(elevenlabs_server.requests) == 1


async def test_warming_passes_with_a_key_that_may_only_speak(
    elevenlabs_server: FakeElevenLabs, speech: ElevenLabsSpeech
) -> None:
    elevenlabs_server.fail_next(
        Refuse(401, "The API key you used is missing the permission models_read", code="missing_permissions")
    )
    await speech.warm()


async def test_warming_tries_once_and_has_a_deadline(elevenlabs_server: FakeElevenLabs) -> None:
    speech = ElevenLabsSpeech(
        api_key=elevenlabs_server.api_key, base_url=elevenlabs_server.base_url, first_byte_timeout=0.5
    )
    elevenlabs_server.fail_next(Refuse(503), HoldAfter(0))
    with pytest.raises(ProviderError) as refused:
        await speech.warm()
    assert refused.value.retryable
    with pytest.raises(ProviderTimeout):
        await speech.warm()
    await speech.aclose()
    assert len(elevenlabs_server.requests) == 2


@pytest.mark.parametrize("key", ["xi-secret\npart", ""])
def test_a_key_that_cannot_be_sent_is_refused_without_quoting_it(key: str) -> None:
    with pytest.raises(ValueError, match="API key must be") as refusal:
        ElevenLabsSpeech(api_key=key)
    assert "secret" not in str(refusal.value)
