"""From the settings to the chains: which providers, in which order, and when they are loaded."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import aclosing
from typing import Any

import pytest
from pydantic import ValidationError

from ai_worker import settings as settings_module
from ai_worker.agents import Agent, ProviderOrder
from ai_worker.conversation.scripted import sentences
from ai_worker.providers.base import ChatMessage, ProviderDenied, ProviderError, TextDelta
from ai_worker.providers.suite import provider_suite
from ai_worker.settings import Seam, WorkerSettings
from support.fake_providers import FakeElevenLabs, FakeOpenAI, FakeServer, HoldAfter, Refuse
from support.speech_stream import audio
from support.waiting import until

AGENT = Agent.model_validate({"name": "test", "default": True, "greeting": "Hello there.", "instructions": "Be brief."})
KEYS = {"openai_api_key": "sk-local-fake", "elevenlabs_api_key": "xi-local-fake"}


@pytest.fixture(autouse=True)
def nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither this machine's environment nor its .env."""
    for name in os.environ:
        if name.startswith(("OPENAI_", "ELEVENLABS_")) or name.endswith("_PROVIDERS"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))


def settings(**given: Any) -> WorkerSettings:
    return WorkerSettings(**given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [["local"], ["local"], ["local"]]),
        ({"openai_api_key": "k"}, [["openai", "local"], ["openai", "local"], ["local"]]),
        ({"elevenlabs_api_key": "k"}, [["local"], ["local"], ["elevenlabs", "local"]]),
        (
            {
                **KEYS,
                "tts_providers": " ElevenLabs , openai,local",
                "llm_providers": "openai",
                "stt_providers": "local",
            },
            [["local"], ["openai"], ["elevenlabs", "openai", "local"]],
        ),
    ],
)
def test_the_order(given: dict[str, str], expected: list[list[str]]) -> None:
    chosen = settings(**given)
    seams: tuple[Seam, ...] = ("stt", "llm", "tts")
    assert [list(chosen.providers(seam)) for seam in seams] == expected


def test_without_the_local_models_nobody_follows_the_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "local_models_installed", lambda: False)
    assert settings(**KEYS).providers("tts") == ("elevenlabs",)
    assert settings().providers("tts") == ("local",)  # and says at the start what to install


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"tts_providers": "elevenlabs"}, "TTS_PROVIDERS=elevenlabs needs ELEVENLABS_API_KEY"),
        ({"tts_providers": "local,polly"}, "'polly' is none; use auto, or some of elevenlabs, openai, local"),
        ({"stt_providers": ""}, "STT_PROVIDERS='': '' is none"),
        ({"stt_providers": "local,"}, "'' is none"),
        ({"llm_providers": "auto,local"}, "'auto' is none"),
        ({"llm_providers": "local,local"}, "each provider once"),
    ],
)
def test_a_wrong_list(given: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        settings(**given)
    assert says in refusal.value.errors()[0]["msg"]


def cloud(openai: FakeOpenAI, elevenlabs: FakeElevenLabs, **given: Any) -> WorkerSettings:
    chosen = {"stt_providers": "openai", "llm_providers": "openai", "tts_providers": "elevenlabs,openai"} | given
    return settings(**KEYS, openai_base_url=openai.base_url, elevenlabs_base_url=elevenlabs.base_url, **chosen)


async def test_the_greeting_waits_for_its_own_voice() -> None:
    async with (
        FakeOpenAI() as openai,
        FakeElevenLabs() as elevenlabs,
        provider_suite(cloud(openai, elevenlabs)) as suite,
    ):
        elevenlabs.fail_next(Refuse(500))
        await suite.prepare([AGENT])
        assert not [request for request in openai.requests if request.path.endswith("/speech")]

        stream = suite.tts.stream("Hello there.", sample_rate=8000, voice="", language="en")
        assert [piece async for piece in stream]
        assert suite.names == {"stt": "openai-stt", "llm": "openai-chat", "tts": "elevenlabs-tts"}
        assert suite.counts.as_dict() == {"switches": {}, "failures": {"tts": {"elevenlabs-tts": 1}}}
        assert list(suite.state()["tts"]) == ["elevenlabs-tts", "openai-tts"]


async def test_what_could_not_be_prepared_is_tried_again_and_changed_agents_are_prepared_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ai_worker.providers.suite.LOOK_EVERY_S", 0.02)
    changed = AGENT.model_copy(update={"greeting": "Welcome to the other house."})
    agents = [AGENT]
    async with (
        FakeOpenAI() as openai,
        FakeElevenLabs() as elevenlabs,
        provider_suite(cloud(openai, elevenlabs)) as suite,
    ):

        def made() -> int:
            return asked(elevenlabs, "/text-to-speech/")

        async def is_ready(text: str) -> bool:
            """Whether nobody has to be asked for it."""
            before = made()
            assert await audio(suite.tts.stream(text, sample_rate=8000, voice="", language="en"))
            return made() == before

        # The first sentences fail, the others are made all the same.
        elevenlabs.fail_next(Refuse(500), Refuse(500))
        keeping = asyncio.create_task(suite.keep_prepared(lambda: agents))
        texts = {sentence.text for text in AGENT.fixed_texts for sentence in sentences(text)}
        for text in texts:
            await until(lambda text=text: is_ready(text))  # type: ignore[misc]
        assert made() >= 2 * len(texts) + 2
        assert not await is_ready("Welcome to the other house.")
        agents = [changed]
        await until(lambda: is_ready("Welcome to the other house."))
        keeping.cancel()
        await asyncio.wait([keeping])


async def test_a_sentence_comes_from_the_second_voice_and_the_counts_say_so() -> None:
    async with FakeOpenAI() as openai, FakeElevenLabs() as elevenlabs:
        chosen = cloud(openai, elevenlabs, tts_first_byte_deadline=0.3)
        async with provider_suite(chosen) as suite:
            elevenlabs.fail_next(HoldAfter(0))
            stream = suite.tts.stream("Good morning.", sample_rate=16000, voice="", language="en")
            assert [piece async for piece in stream]
            counted = {"tts": {"elevenlabs-tts": 1}}
            assert suite.counts.as_dict() == {"switches": counted, "failures": counted}


async def test_a_preferred_providers_wrong_key_stops_the_start_a_fallbacks_does_not() -> None:
    async with FakeOpenAI() as openai, FakeElevenLabs() as elevenlabs:
        elevenlabs.api_key = "xi-another"
        with pytest.raises(ProviderDenied, match="key was not accepted"):
            async with provider_suite(cloud(openai, elevenlabs)):
                raise AssertionError("started")
        async with provider_suite(cloud(openai, elevenlabs, tts_providers="openai,elevenlabs")) as suite:
            assert suite.state()["tts"]["elevenlabs-tts"]["state"] == "open"
            assert suite.names["tts"] == "openai-tts"


def agent_with(**providers: Any) -> Agent:
    return AGENT.model_copy(update={"name": "other", "providers": ProviderOrder.model_validate(providers)})


def asked(server: FakeServer, path: str) -> int:
    return sum(path in request.path for request in server.requests)


async def test_an_agents_own_order_says_which_server_is_asked() -> None:
    async with (
        FakeOpenAI() as openai,
        FakeElevenLabs() as elevenlabs,
        provider_suite(cloud(openai, elevenlabs, stt_providers="openai,elevenlabs")) as suite,
    ):
        other = agent_with(stt=["elevenlabs"], tts=["openai", "elevenlabs"])
        await suite.prepare([AGENT, other])
        # Its fixed sentences are in its own voice, and the first agent's in that one's.
        made = len(AGENT.fixed_texts)
        assert asked(elevenlabs, "/text-to-speech/") >= 2 * made
        assert asked(openai, "/audio/speech") == asked(elevenlabs, "/text-to-speech/")

        mine = suite.of(other.providers)
        assert mine.names == {"stt": "elevenlabs-stt", "llm": "openai-chat", "tts": "openai-tts"}
        before = (asked(openai, "/audio/transcriptions"), asked(elevenlabs, "/speech-to-text/"))
        await mine.stt.transcribe(bytes(8000), 8000, language="en")
        assert (asked(openai, "/audio/transcriptions"), asked(elevenlabs, "/speech-to-text/")) == (
            before[0],
            before[1] + 1,
        )
        spoken = asked(openai, "/audio/speech")
        assert await audio(mine.tts.stream("Something new.", sample_rate=8000, voice="", language="en"))
        assert await audio(mine.tts.stream("Hello there.", sample_rate=8000, voice="", language="en"))
        assert asked(openai, "/audio/speech") == spoken + 1
        assert suite.of(ProviderOrder()).tts is suite.tts


async def test_what_keeps_failing_for_one_agent_is_kept_out_for_all() -> None:
    async with (
        FakeOpenAI() as openai,
        FakeElevenLabs() as elevenlabs,
        provider_suite(cloud(openai, elevenlabs)) as suite,
    ):
        elevenlabs.fail_next(Refuse(429, retry_after="60"))
        mine = suite.of(ProviderOrder(tts=("elevenlabs", "openai")))
        assert await audio(mine.tts.stream("Good morning.", sample_rate=8000, voice="", language="en"))
        assert suite.state()["tts"]["elevenlabs-tts"]["out_for_s"] > 50
        assert suite.names["tts"] == "openai-tts"


async def test_a_provider_that_an_agent_leaves_out_is_not_asked_for_it() -> None:
    async with (
        FakeOpenAI() as openai,
        FakeElevenLabs() as elevenlabs,
        provider_suite(cloud(openai, elevenlabs)) as suite,
    ):
        elevenlabs.fail_next(Refuse(500))
        mine = suite.of(ProviderOrder(tts=("elevenlabs",)))
        with pytest.raises(ProviderError, match="HTTP 500"):
            await audio(mine.tts.stream("Good morning.", sample_rate=8000, voice="", language="en"))
        assert not asked(openai, "/audio/speech")
        with pytest.raises(ValueError, match="local is not among elevenlabs, openai"):
            suite.of(ProviderOrder(tts=("local",)))


async def test_a_start_that_fails_leaves_no_connection_behind() -> None:
    async with FakeOpenAI() as openai, FakeElevenLabs() as elevenlabs:
        elevenlabs.api_key = "xi-another"
        openai.fail_next(HoldAfter(0), HoldAfter(0))
        began = time.monotonic()
        with pytest.raises(ProviderDenied):
            async with provider_suite(cloud(openai, elevenlabs)):
                raise AssertionError("started")
        # Not after the time-out of those that hang.
        assert time.monotonic() - began < 3
        await until(lambda: not openai.open_connections and not elevenlabs.open_connections)


async def test_a_provider_that_is_away_at_the_start_is_tried_again_later() -> None:
    async with FakeOpenAI() as openai, FakeElevenLabs() as elevenlabs:
        elevenlabs.fail_next(Refuse(503))
        async with provider_suite(cloud(openai, elevenlabs)) as suite:
            assert suite.names["tts"] == "elevenlabs-tts"


@pytest.mark.speech
async def test_a_local_model_that_only_takes_over_is_ready_when_it_has_to() -> None:
    async with (
        FakeOpenAI() as openai,
        FakeElevenLabs() as elevenlabs,
        provider_suite(cloud(openai, elevenlabs, llm_providers="openai,local")) as suite,
    ):
        openai.fail_next(Refuse(500))
        began = time.monotonic()
        async with aclosing(suite.llm.stream([ChatMessage("user", "Hi")])) as deltas:
            assert isinstance(await anext(deltas), TextDelta)
        assert time.monotonic() - began < 1.0
        assert suite.counts.as_dict()["switches"] == {"llm": {"openai-chat": 1}}
