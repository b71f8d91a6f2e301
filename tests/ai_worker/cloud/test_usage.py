"""What requests used, as real servers tell it, through the SDKs and the chains: told, measured, or not known."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing

import pytest

from ai_worker.providers.attempts import Counts, Link
from ai_worker.providers.base import ChatMessage, LanguageModel, ProviderError, TextToSpeech
from ai_worker.providers.chain import LlmChain, SttChain, TtsChain
from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech
from ai_worker.providers.openai_chat import OpenAiChat
from ai_worker.providers.openai_stt import OpenAiTranscription
from ai_worker.providers.openai_tts import OpenAiSpeech
from ai_worker.providers.usage import Usage, of_characters, of_chat, of_transcription
from support.fake_providers import CutAfter, FakeElevenLabs, FakeOpenAI, HoldAfter, Refuse
from support.fake_providers.openai_api import tokens
from support.live_talk import Talk
from support.openai_chat import ANSWER, chat
from support.scripted_chain import ScriptedChat, answer, down, llm_chain
from support.waiting import until

__all__ = ["chat"]

QUESTION = [ChatMessage("user", "Are you open on Sunday?")]
ASKED, ANSWERED = len(tokens(QUESTION[0].content)), len(tokens(ANSWER))
SECOND = bytes(16000)


class Bill(list[Usage]):
    """What was reported."""

    @property
    def sums(self) -> dict[str, float]:
        """By unit; "~" before one that was measured."""
        found: Counter[str] = Counter()
        for used in self:
            found[("" if used.told else "~") + used.unit] += used.amount  # type: ignore[assignment]
        return dict(found)


@pytest.fixture
def bill() -> Bill:
    return Bill()


def llm_of(chat: LanguageModel, bill: Bill, kind: str = "openai") -> LlmChain:
    return LlmChain([Link(kind, chat, model="gpt-4o-mini")], deadline=5.0).reporting(bill.append)


async def test_a_whole_answer_tells_its_tokens_the_cached_ones_apart(
    openai_server: FakeOpenAI, chat: OpenAiChat, bill: Bill
) -> None:
    openai_server.cached_tokens = 2
    assert await answer(llm_of(chat, bill)) == ANSWER
    assert (bill[0].provider, bill[0].model) == ("openai", "gpt-4o-mini")
    prompt = len(tokens("Hi"))
    cached = min(2, prompt)
    expected = {"input_tokens": prompt - cached, "cached_input_tokens": cached, "output_tokens": ANSWERED}
    assert bill.sums == {unit: amount for unit, amount in expected.items() if amount}


async def test_a_server_that_refuses_the_option_answers_in_the_same_turn_and_is_asked_once(
    openai_server: FakeOpenAI, chat: OpenAiChat, bill: Bill
) -> None:
    openai_server.takes_usage_option = False
    for _ in range(2):
        assert await answer(llm_of(chat, bill)) == ANSWER
    assert [("stream_options" in request.json) for request in openai_server.requests] == [True, False, False]
    assert bill.sums == {"~requests": 2}


async def test_a_request_that_is_refused_for_something_else_is_refused_and_the_option_is_kept(
    openai_server: FakeOpenAI, chat: OpenAiChat, bill: Bill
) -> None:
    openai_server.fail_next(Refuse(400, "No."), Refuse(400, "No."))
    with pytest.raises(ProviderError, match="400"):
        await answer(llm_of(chat, bill))
    assert bill == []
    assert await answer(llm_of(chat, bill)) == ANSWER
    assert "output_tokens" in bill.sums
    # The server has taken it: what it refuses from now on is refused for something else.
    openai_server.fail_next(Refuse(400, "No."))
    with pytest.raises(ProviderError, match="400"):
        await answer(llm_of(chat, bill))


async def test_a_guess_that_is_thrown_away_is_a_request_of_unknown_cost(
    openai_server: FakeOpenAI, chat: OpenAiChat, bill: Bill
) -> None:
    openai_server.per_token = 0.01
    async with aclosing(llm_of(chat, bill).stream(QUESTION)) as deltas:
        await anext(deltas)
    assert bill.sums == {"~requests": 1}


@pytest.mark.parametrize(("fault", "counted"), [(Refuse(500), {}), (CutAfter(3), {"~requests": 1})], ids=str)
async def test_who_fails_at_once_is_not_counted_who_breaks_off_is(
    openai_server: FakeOpenAI, chat: OpenAiChat, bill: Bill, fault: Refuse | CutAfter, counted: dict[str, float]
) -> None:
    openai_server.fail_next(fault)
    with pytest.raises(ProviderError):
        await answer(llm_of(chat, bill))
    assert bill.sums == counted


async def test_who_was_late_is_counted_beside_who_took_over(openai_server: FakeOpenAI, chat: OpenAiChat) -> None:
    bill, counts = Bill(), Counts()
    openai_server.fail_next(HoldAfter(0))
    links: list[Link[LanguageModel]] = [Link("openai", chat, model="m"), Link("other", ScriptedChat("other"))]
    chain = LlmChain(links, deadline=0.2, counts=counts).reporting(bill.append)
    assert await answer(chain) == "ok"
    assert [(used.provider, used.unit) for used in bill] == [("openai", "requests"), ("other", "requests")]
    assert counts.used == {("llm", "openai", "m", "requests", False): 1, ("llm", "other", "", "requests", False): 1}


async def test_local_models_are_nobodys_bill(chat: OpenAiChat, bill: Bill) -> None:
    await answer(llm_of(chat, bill, kind="local"))
    assert bill == []


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini-transcribe", {"audio_input_tokens": 10, "output_tokens": 6}),
        ("whisper-1", {"audio_s": 1}),
    ],
)
@pytest.mark.parametrize("streaming", [None, False])
async def test_a_transcript_tells_its_tokens_or_its_length(
    openai_server: FakeOpenAI, bill: Bill, model: str, expected: dict[str, float], streaming: bool | None
) -> None:
    provider = OpenAiTranscription(
        api_key=openai_server.api_key, base_url=openai_server.base_url, model=model, streaming=streaming
    )
    chain = SttChain([Link("openai", provider, model=model)], deadline=5.0).reporting(bill.append)
    text = (await chain.transcribe(SECOND, 8000, language="en")).text
    await chain.aclose()
    if "output_tokens" in expected:
        expected = expected | {"output_tokens": len(tokens(text))}
    assert bill.sums == expected


async def test_a_transcription_that_is_cancelled_is_measured(openai_server: FakeOpenAI, bill: Bill) -> None:
    provider = OpenAiTranscription(api_key=openai_server.api_key, base_url=openai_server.base_url)
    chain = SttChain([Link("openai", provider)], deadline=5.0).reporting(bill.append)
    openai_server.fail_next(HoldAfter(0))
    asking = asyncio.create_task(chain.transcribe(SECOND, 8000, language="en"))
    await until(lambda: bool(openai_server.requests))
    asking.cancel()
    await asyncio.wait([asking])
    await chain.aclose()
    assert bill.sums == {"~audio_s": 1.0}


async def spoken(tts: TextToSpeech, kind: str, bill: Bill, text: str, pieces: int = 1_000_000) -> None:
    chain = TtsChain([Link(kind, tts)], deadline=5.0).reporting(bill.append)
    async with aclosing(chain.stream(text, sample_rate=8000, voice="", language="en")) as speech:
        async for _ in speech:
            pieces -= 1
            if not pieces:
                break
    await chain.aclose()


@pytest.mark.parametrize(("tells", "unit"), [(True, "characters"), (False, "~characters")])
@pytest.mark.parametrize("pieces", [1, 1_000_000])
async def test_speech_tells_its_characters_or_is_measured_also_when_it_is_cut(
    elevenlabs_server: FakeElevenLabs, bill: Bill, tells: bool, unit: str, pieces: int
) -> None:
    elevenlabs_server.tells_cost = tells
    voice = ElevenLabsSpeech(api_key=elevenlabs_server.api_key, base_url=elevenlabs_server.base_url)
    await spoken(voice, "elevenlabs", bill, ANSWER, pieces)
    assert bill.sums == {unit: len(ANSWER)}


async def test_openais_speech_is_measured_and_silence_is_free(openai_server: FakeOpenAI, bill: Bill) -> None:
    for text in ("Hello there.", "…"):
        voice = OpenAiSpeech(api_key=openai_server.api_key, base_url=openai_server.base_url)
        await spoken(voice, "openai", bill, text)
    assert bill.sums == {"~characters": len("Hello there.")}


async def test_who_is_heard_live_is_measured_once_to_the_end(talk: Talk) -> None:
    bill = Bill()
    chain = talk.chain.reporting(bill.append)
    live = chain.open_live(8000, language="en", on_text=lambda number, text: None)
    assert live
    live.feed(SECOND)
    await live.commit()
    live.feed(SECOND[: len(SECOND) // 2])
    await live.aclose()
    assert bill.sums == {"~audio_s": 1.5}
    assert {used.provider for used in bill} == {"elevenlabs"}


async def test_two_calls_on_one_chain_have_a_bill_each() -> None:
    bills = Bill(), Bill()
    chain = llm_chain(ScriptedChat("a"), ScriptedChat("b", [down("b")]))
    await answer(chain.reporting(bills[0].append))
    await asyncio.gather(*(answer(chain.reporting(bill.append)) for bill in bills))
    assert [bill.sums for bill in bills] == [{"~requests": 2}, {"~requests": 1}]


@pytest.mark.parametrize("read", [of_chat, of_transcription])
@pytest.mark.parametrize("usage", [None, "12", 7, [], {}, {"prompt_tokens": "many", "input_tokens": None}])
def test_what_is_no_usage_is_none(read: Callable[[object], list[object]], usage: object) -> None:
    assert read(usage) == []


@pytest.mark.parametrize("header", [None, "", "free", "-3", "nan", "inf"])
def test_what_is_no_number_of_characters_is_none(header: str | None) -> None:
    assert of_characters(header) == []
