"""Scribe through the SDK against a server that speaks its WebSocket: the audio, warm connections, failures."""

from __future__ import annotations

import asyncio
import math
import struct
import time
import traceback
from collections.abc import AsyncIterator

import pytest

from ai_worker.providers.base import ProviderDenied, ProviderError, ProviderRefused, ProviderTimeout
from ai_worker.providers.elevenlabs_stt import ElevenLabsTranscription
from support.fake_providers import (
    CutAfter,
    Drop,
    EndAfter,
    ErrorAfter,
    FakeElevenLabs,
    Fault,
    HoldAfter,
    Refuse,
    SlowDrip,
)
from support.waiting import until

HEARD = "Hello, can you hear me?"


def speech(sample_rate: int, seconds: float = 2.3) -> bytes:
    """A rising tone, s16le mono: every sample differs, so that a shifted or shortened copy is seen."""
    count = round(sample_rate * seconds)
    return struct.pack(f"<{count}h", *(round(9000 * math.sin(i * i / 4000)) for i in range(count)))


@pytest.fixture
async def stt(elevenlabs_server: FakeElevenLabs) -> AsyncIterator[ElevenLabsTranscription]:
    provider = ElevenLabsTranscription(
        api_key=elevenlabs_server.api_key, base_url=elevenlabs_server.base_url, timeout=1.0
    )
    yield provider
    await provider.aclose()


async def heard(stt: ElevenLabsTranscription, *, rate: int = 8000, language: str = "en") -> str:
    return (await stt.transcribe(speech(rate), rate, language=language)).text


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_the_audio_arrives_as_it_was_said(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription, rate: int
) -> None:
    assert await heard(stt, rate=rate, language="fr") == HEARD

    request = elevenlabs_server.requests[0]
    assert request.body == speech(rate)
    assert request.query["model_id"] == "scribe_v2_realtime"
    assert request.query["audio_format"] == f"pcm_{rate}"
    assert request.query["language_code"] == "fr"
    assert request.query["commit_strategy"] == "manual"
    assert request.headers["xi-api-key"] == elevenlabs_server.api_key


async def test_a_short_word_is_long_enough_for_a_commit(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription
) -> None:
    word = speech(8000, 0.15)
    assert (await stt.transcribe(word, 8000, language="")).text == HEARD
    assert elevenlabs_server.requests[0].body == word + bytes(8000 - len(word))
    assert "language_code" not in elevenlabs_server.requests[0].query


async def test_nothing_is_not_sent(elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription) -> None:
    assert (await stt.transcribe(b"", 8000, language="en")).text == ""
    assert not elevenlabs_server.requests


async def test_no_words_are_an_empty_transcript(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription
) -> None:
    elevenlabs_server.fail_next(ErrorAfter(0, code="insufficient_audio_activity"))
    assert await heard(stt) == ""
    elevenlabs_server.scribe.hear = lambda pcm, language: " "
    assert await heard(stt) == ""


async def test_half_a_character_in_the_words_is_left_out(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription
) -> None:
    elevenlabs_server.scribe.hear = lambda pcm, language: "Yes \ud83d please"
    assert await heard(stt) == "Yes  please"


async def test_one_warm_connection_serves_every_utterance(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription
) -> None:
    await stt.warm()
    for _ in range(3):
        assert await heard(stt) == HEARD
    assert len(elevenlabs_server.peers) == 1
    assert len(elevenlabs_server.scribe.sessions) == 1


async def test_calls_at_the_same_time_have_their_own_connections(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription
) -> None:
    elevenlabs_server.scribe.hear = lambda pcm, language: f"{len(pcm)} {language}"
    asked = [(0.6, "en"), (0.7, "en"), (0.8, "fr")]
    texts = await asyncio.gather(
        *(stt.transcribe(speech(8000, seconds), 8000, language=language) for seconds, language in asked)
    )
    assert [text.text for text in texts] == ["9600 en", "11200 en", "12800 fr"]
    assert len(elevenlabs_server.peers) == 3


async def test_a_session_that_was_closed_meanwhile_costs_a_new_one(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription
) -> None:
    await stt.warm()
    await elevenlabs_server.scribe.hang_up()
    assert await heard(stt) == HEARD
    # Also one that dies under the utterance, once.
    elevenlabs_server.fail_next(Drop())
    assert await heard(stt) == HEARD
    assert [request.body for request in elevenlabs_server.requests] == [speech(8000)] * 3


async def test_a_used_session_that_the_server_closed_has_a_successor_before_the_next_utterance(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription
) -> None:
    assert await heard(stt) == HEARD
    await elevenlabs_server.scribe.hang_up()
    # The server knows of it a moment before the client can use it.
    await until(lambda: len(elevenlabs_server.opened_at) == 2 and any(session.usable for _, session in stt._idle))
    asked_at = time.monotonic()
    assert await heard(stt) == HEARD
    assert elevenlabs_server.opened_at[elevenlabs_server.requests[-1].peer] < asked_at
    assert len(elevenlabs_server.opened_at) == 2


async def test_a_session_that_nobody_used_has_none(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription
) -> None:
    await stt.warm()
    await elevenlabs_server.scribe.hang_up()
    await until(lambda: not elevenlabs_server.open_connections)
    assert await heard(stt) == HEARD
    assert len(elevenlabs_server.opened_at) == 2


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (Refuse(401, "No.", code="invalid_api_key"), ProviderDenied, "key was not accepted"),
        (Refuse(403, "Not from here."), ProviderRefused, "Not from here"),
        (Refuse(429, "Too many.", retry_after="3"), ProviderError, "Too many"),
        (Refuse(500, "Oops."), ProviderError, "HTTP 500"),
    ],
    ids=str,
)
async def test_a_connection_that_is_refused(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription, fault: Refuse, kind: type, says: str
) -> None:
    elevenlabs_server.fail_next(fault)
    with pytest.raises(ProviderError, match=says) as failure:
        await heard(stt)
    assert type(failure.value) is kind
    assert failure.value.retry_after == (3.0 if fault.status == 429 else None)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (ErrorAfter(1, code="auth_error"), ProviderDenied),
        (ErrorAfter(1, code="quota_exceeded"), ProviderDenied),
        (ErrorAfter(1, code="input_error"), ProviderRefused),
        (ErrorAfter(1, code="rate_limited"), ProviderError),
        (ErrorAfter(1, code="transcriber_error"), ProviderError),
        (CutAfter(2), ProviderError),
        (EndAfter(2), ProviderError),
        (HoldAfter(2), ProviderTimeout),
        (SlowDrip(0.5), ProviderTimeout),
    ],
    ids=str,
)
async def test_a_failure_within_an_utterance(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription, fault: Fault, kind: type
) -> None:
    elevenlabs_server.fail_next(fault)
    began = time.monotonic()
    with pytest.raises(ProviderError) as failure:
        await heard(stt)
    assert type(failure.value) is kind
    assert failure.value.retryable is not issubclass(kind, ProviderRefused)
    assert time.monotonic() - began < 2
    assert await heard(stt) == HEARD  # over a new connection
    assert len(elevenlabs_server.peers) == 2


async def test_cancelling_leaves_nothing_behind(
    elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription
) -> None:
    elevenlabs_server.fail_next(HoldAfter(0))
    asking = asyncio.ensure_future(heard(stt))
    await elevenlabs_server.request()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await heard(stt) == HEARD


async def test_warming_reports_a_wrong_key(elevenlabs_server: FakeElevenLabs) -> None:
    stt = ElevenLabsTranscription(api_key="xi-wrong-key", base_url=elevenlabs_server.base_url)
    with pytest.raises(ProviderDenied, match="auth_error"):
        await stt.warm()
    await stt.aclose()


async def test_the_key_is_in_no_error(elevenlabs_server: FakeElevenLabs, stt: ElevenLabsTranscription) -> None:
    elevenlabs_server.fail_next(Refuse(500, f"Bad key {elevenlabs_server.api_key}"))
    with pytest.raises(ProviderError) as failure:
        await heard(stt)
    assert elevenlabs_server.api_key not in "".join(traceback.format_exception(failure.value))


async def test_a_rate_that_is_not_a_calls_is_refused(stt: ElevenLabsTranscription) -> None:
    with pytest.raises(ValueError, match="8000 or 16000"):
        await stt.transcribe(bytes(480), 24000, language="en")
