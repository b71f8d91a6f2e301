"""Hibari on this machine: what a caller would hear."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import numpy as np
import pytest
from hibari import Hibari
from numpy.typing import NDArray

from ai_worker.providers.base import ProviderError, ProviderRefused
from ai_worker.providers.local_stt import LocalWhisper
from ai_worker.providers.local_tts import LocalHibari
from support.wer import word_error_rate

pytestmark = pytest.mark.speech

SENTENCE = "Hello, this is the city library."


@pytest.fixture
async def tts() -> AsyncIterator[LocalHibari]:
    provider = LocalHibari()
    yield provider
    await provider.aclose()


async def speak(tts: LocalHibari, text: str, sample_rate: int = 8000) -> list[bytes]:
    return [piece async for piece in tts.stream(text, sample_rate=sample_rate, voice="", language="en")]


def samples(pieces: list[bytes]) -> NDArray[np.float64]:
    return np.frombuffer(b"".join(pieces), "<i2").astype(np.float64) / 32768


@pytest.mark.parametrize("sample_rate", [8000, 16000])
async def test_speech_has_the_calls_rate_and_the_models_level(tts: LocalHibari, sample_rate: int) -> None:
    heard = samples(await speak(tts, SENTENCE, sample_rate))
    made = Hibari(threads=1)(SENTENCE, seed=1)
    spoken = np.flatnonzero(np.abs(made) > 10 ** (-50 / 20))
    expected_ms = (spoken[-1] - spoken[0]) / 24 + 60 + 150
    assert len(heard) / sample_rate * 1000 == pytest.approx(expected_ms, abs=2)
    # Little of a voice's power lies above 4 kHz.
    assert (heard**2).sum() / sample_rate == pytest.approx((made.astype(np.float64) ** 2).sum() / 24000, rel=0.1)


@pytest.mark.parametrize("text", [SENTENCE, "Yes.", "We are open from nine to six. Is there anything else?"])
async def test_no_dead_air_before_or_after(tts: LocalHibari, text: str) -> None:
    heard = samples(await speak(tts, text))
    loud = np.flatnonzero(np.abs(heard) > 10 ** (-50 / 20))
    assert 40 < loud[0] / 8 < 80
    assert 120 < (len(heard) - loud[-1]) / 8 < 200


async def test_the_same_text_is_the_same_audio(tts: LocalHibari) -> None:
    assert await speak(tts, SENTENCE) == await speak(tts, SENTENCE)


async def test_each_sentence_comes_as_it_is_made(tts: LocalHibari) -> None:
    pieces = await speak(tts, "One moment. I will look it up. Here it is.")
    assert len(pieces) == 3
    assert all(len(piece) % 2 == 0 and len(piece) > 8000 for piece in pieces)


async def test_speech_is_understood(tts: LocalHibari) -> None:
    texts = [
        "Hello, this is the city library, how can I help you?",
        "We are open from nine in the morning until six in the evening.",
        "I will put you through to a colleague, please hold the line.",
    ]
    stt = LocalWhisper()
    pairs = []
    for text in texts:
        pcm = b"".join(await speak(tts, text))
        pairs.append((text, (await stt.transcribe(pcm, 8000, language="en")).text))
    await stt.aclose()
    assert word_error_rate(pairs) < 0.1, pairs


@pytest.mark.parametrize("text", ["", "  ", "...", "?!", "\n"])
async def test_nothing_to_say_is_no_audio(tts: LocalHibari, text: str) -> None:
    assert await speak(tts, text) == []


async def test_closing_early_stops_the_work(tts: LocalHibari, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    synthesise = Hibari.from_ids

    def counting(self: Hibari, *args: object, **kwargs: object) -> object:
        made.append(threading.current_thread().name)
        return synthesise(self, *args, **kwargs)

    monkeypatch.setattr(Hibari, "from_ids", counting)
    stream = tts.stream("One. Two. Three. Four. Five.", sample_rate=8000, voice="heart", language="en")
    assert await anext(stream)
    await stream.aclose()
    # The one thread has done all that was asked before this.
    await speak(tts, "Six.")
    assert len(made) == 2
    assert threading.current_thread().name not in made


async def test_calls_take_turns(tts: LocalHibari) -> None:
    order = ""

    async def call(name: str) -> None:
        nonlocal order
        speech = tts.stream("One moment. I will look. Here it is.", sample_rate=8000, voice="", language="en")
        async for _ in speech:
            order += name

    await asyncio.gather(call("a"), call("b"))
    assert order == "ababab"


@pytest.mark.parametrize(("voice", "language", "why"), [("emma", "en", "'heart' is installed"), ("", "fr", "'en'")])
async def test_what_it_does_not_have_is_refused(tts: LocalHibari, voice: str, language: str, why: str) -> None:
    with pytest.raises(ProviderRefused, match=why):
        await anext(aiter(tts.stream("Hello.", sample_rate=8000, voice=voice, language=language)))


async def test_more_than_may_wait_are_sent_away() -> None:
    provider = LocalHibari(max_waiting=1)
    answers = await asyncio.gather(*(speak(provider, "Yes.") for _ in range(3)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, ProviderError)]
    assert [error.retryable for error in refused] == [True]
    await provider.aclose()
