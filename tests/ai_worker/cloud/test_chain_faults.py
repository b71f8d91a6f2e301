"""The chains over real sockets: what goes wrong at one server, and what the caller gets from the next in its place."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from ai_worker.providers.attempts import Counts, Link
from ai_worker.providers.base import ChatMessage, ProviderError, ProviderTimeout, TextDelta
from ai_worker.providers.chain import LlmChain, SttChain, TtsChain
from ai_worker.providers.elevenlabs_stt import ElevenLabsTranscription
from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech
from ai_worker.providers.openai_chat import OpenAiChat
from ai_worker.providers.openai_stt import OpenAiTranscription
from ai_worker.providers.openai_tts import OpenAiSpeech
from support.fake_providers import (
    CutAfter,
    Drop,
    EndAfter,
    ErrorAfter,
    FakeElevenLabs,
    FakeOpenAI,
    Fault,
    HoldAfter,
    Refuse,
    SlowDrip,
    tone,
)

DEADLINE = 1.0
# From the failure to the next server's answer.
LONGEST_GAP = 1.0
SENTENCE = "You can keep it for three weeks."

AT_ONCE: list[Fault] = [
    Refuse(400, "No."),
    Refuse(401, code="invalid_api_key"),
    Refuse(429, "Slow down.", retry_after="3"),
    Refuse(500, "Oops."),
    CutAfter(0),
    EndAfter(0),
    HoldAfter(0),
    SlowDrip(2.0),
]
WITHIN: list[Fault] = [CutAfter(3), HoldAfter(3), SlowDrip(0.4)]


@pytest.fixture
async def second_server(nothing_left: None) -> AsyncIterator[FakeOpenAI]:
    async with FakeOpenAI(answer=lambda messages: SENTENCE, hear=lambda wav, language: "The second.") as server:
        yield server


@pytest.fixture
async def stt(openai_server: FakeOpenAI, second_server: FakeOpenAI) -> AsyncIterator[SttChain]:
    openai_server.hear = lambda wav, language: "The first, and it has a few words to say."
    providers = [
        OpenAiTranscription(api_key=s.api_key, base_url=s.base_url, name=name, longest_pause=0.3)
        for name, s in (("first", openai_server), ("second", second_server))
    ]
    chain = SttChain([Link(p.name, p) for p in providers], deadline=DEADLINE, counts=Counts())
    await chain.warm()
    await chain.warm_others()
    openai_server.requests.clear()
    yield chain
    await chain.aclose()


@pytest.fixture
async def llm(openai_server: FakeOpenAI, second_server: FakeOpenAI) -> AsyncIterator[LlmChain]:
    openai_server.answer = lambda messages: "The first, and it has a few words to say."
    providers = [
        OpenAiChat(api_key=s.api_key, base_url=s.base_url, name=name, between_tokens_timeout=1.0)
        for name, s in (("first", openai_server), ("second", second_server))
    ]
    chain = LlmChain([Link(p.name, p) for p in providers], deadline=DEADLINE)
    await chain.warm()
    await chain.warm_others()
    openai_server.requests.clear()
    yield chain
    await chain.aclose()


@pytest.fixture
async def tts(elevenlabs_server: FakeElevenLabs, second_server: FakeOpenAI) -> AsyncIterator[TtsChain]:
    elevenlabs_server.speed, elevenlabs_server.piece_bytes = 4.0, 1024
    first = ElevenLabsSpeech(api_key=elevenlabs_server.api_key, base_url=elevenlabs_server.base_url)
    second = OpenAiSpeech(api_key=second_server.api_key, base_url=second_server.base_url)
    chain = TtsChain([Link("elevenlabs", first), Link("openai", second)], deadline=DEADLINE)
    await chain.warm()
    await chain.warm_others()
    elevenlabs_server.requests.clear()
    yield chain
    await chain.aclose()


def expected_out(fault: Fault) -> float:
    """For how long the first is kept out after this one fault."""
    match fault:
        case Refuse(status=401):
            return 300.0
        case Refuse(status=429):
            return 3.0
    return 0.0


@pytest.mark.parametrize("fault", [*AT_ONCE, *WITHIN], ids=str)
async def test_words_come_from_the_second(openai_server: FakeOpenAI, stt: SttChain, fault: Fault) -> None:
    # Twice: a cut connection is tried again at the first, once.
    openai_server.fail_next(fault, fault)
    began = time.monotonic()
    transcript = await stt.transcribe(bytes(8000), 8000, language="en")

    assert transcript.text == "The second."
    assert time.monotonic() - began < DEADLINE + LONGEST_GAP
    assert stt.state()["first"]["out_for_s"] == pytest.approx(expected_out(fault), abs=1)


async def test_one_dropped_connection_is_no_reason_to_switch(openai_server: FakeOpenAI, stt: SttChain) -> None:
    openai_server.fail_next(Drop())
    assert (await stt.transcribe(bytes(8000), 8000, language="en")).text.startswith("The first")


@pytest.mark.parametrize("fault", AT_ONCE, ids=str)
async def test_the_answer_comes_from_the_second(openai_server: FakeOpenAI, llm: LlmChain, fault: Fault) -> None:
    # What is refused so may be the request for usage: it is left out, once.
    tries = 2 if isinstance(fault, Refuse) and fault.status == 400 else 1
    openai_server.fail_next(*tries * [fault])
    began = time.monotonic()
    deltas = [d.text async for d in llm.stream([ChatMessage("user", "Hi")]) if isinstance(d, TextDelta)]

    assert "".join(deltas) == SENTENCE
    assert time.monotonic() - began < DEADLINE + LONGEST_GAP
    assert llm.state()["first"]["out_for_s"] == pytest.approx(expected_out(fault), abs=1)
    assert len(openai_server.requests) == tries


@pytest.mark.parametrize("fault", [CutAfter(3), EndAfter(3), HoldAfter(3), ErrorAfter(3)], ids=str)
async def test_no_second_answer_follows_the_beginning_of_the_first(
    openai_server: FakeOpenAI, second_server: FakeOpenAI, llm: LlmChain, fault: Fault
) -> None:
    openai_server.fail_next(fault)
    second_server.requests.clear()
    given: list[str] = []

    async def listen() -> None:
        async for delta in llm.stream([ChatMessage("user", "Hi")]):
            assert isinstance(delta, TextDelta)
            given.append(delta.text)

    with pytest.raises(ProviderError):
        await listen()
    assert given
    assert "The first, and it has a few words to say.".startswith("".join(given))
    assert not second_server.requests


async def test_a_slow_answer_that_has_begun_is_let_finish(openai_server: FakeOpenAI, llm: LlmChain) -> None:
    openai_server.fail_next(SlowDrip(0.12))
    deltas = [d.text async for d in llm.stream([ChatMessage("user", "Hi")]) if isinstance(d, TextDelta)]
    assert "".join(deltas) == "The first, and it has a few words to say."


@pytest.mark.parametrize("fault", AT_ONCE, ids=str)
async def test_the_voice_is_the_seconds(elevenlabs_server: FakeElevenLabs, tts: TtsChain, fault: Fault) -> None:
    elevenlabs_server.fail_next(fault)
    began, first_at = time.monotonic(), 0.0
    pcm = b""
    async for piece in tts.stream(SENTENCE, sample_rate=8000, voice="", language="en"):
        if isinstance(piece, bytes):
            first_at = first_at or time.monotonic()
            pcm += piece

    assert len(pcm) == len(tone(SENTENCE, 8000))
    assert first_at - began < DEADLINE + LONGEST_GAP
    assert tts.state()["elevenlabs-tts"]["out_for_s"] == pytest.approx(expected_out(fault), abs=1)
    assert len(elevenlabs_server.requests) == 1


@pytest.mark.parametrize("fault", WITHIN, ids=str)
async def test_half_a_sentence_is_not_said_twice(
    elevenlabs_server: FakeElevenLabs, second_server: FakeOpenAI, tts: TtsChain, fault: Fault
) -> None:
    elevenlabs_server.fail_next(fault)
    second_server.requests.clear()
    began = time.monotonic()
    pcm = bytearray()

    async def listen() -> None:
        async for piece in tts.stream(SENTENCE, sample_rate=8000, voice="", language="en"):
            if isinstance(piece, bytes):
                pcm.extend(piece)

    with pytest.raises(ProviderError) as failure:
        await listen()
    assert 0 < len(pcm) < len(tone(SENTENCE, 8000))
    assert tone(SENTENCE, 8000).startswith(bytes(pcm))
    assert not second_server.requests
    if not isinstance(fault, CutAfter):
        assert isinstance(failure.value, ProviderTimeout)
        # The caller has waited for the deadline, and not the provider's 2 s.
        assert time.monotonic() - began < len(pcm) / 16000 + DEADLINE + 0.6


@pytest.mark.parametrize("fault", [*AT_ONCE, *WITHIN], ids=str)
async def test_words_come_from_the_second_when_the_realtime_one_fails(
    elevenlabs_server: FakeElevenLabs, second_server: FakeOpenAI, fault: Fault
) -> None:
    first = ElevenLabsTranscription(api_key=elevenlabs_server.api_key, base_url=elevenlabs_server.base_url)
    second = OpenAiTranscription(api_key=second_server.api_key, base_url=second_server.base_url)
    chain = SttChain([Link("elevenlabs", first), Link("openai", second)], deadline=DEADLINE)
    await chain.warm()
    await chain.warm_others()
    elevenlabs_server.fail_next(fault, fault)
    began = time.monotonic()
    transcript = await chain.transcribe(bytes(16000), 8000, language="en")
    await chain.aclose()

    assert transcript.text == "The second."
    assert time.monotonic() - began < DEADLINE + LONGEST_GAP
