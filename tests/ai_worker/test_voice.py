"""One call's voice: order, stopping, failures; with a TTS whose pace the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from ai_worker.agents import Agent, load_agents
from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import Say
from ai_worker.prepared import PreparedSpeech
from ai_worker.providers.base import ProviderTimeout
from ai_worker.voice import Voice
from support.speech_stream import audio
from support.waiting import until

AGENT = Agent(name="test", default=True, greeting="Hello there, this is a test.", instructions="Be brief.")


class SteppedTts:
    """Gives a piece of a sentence whenever the test allows one more; "fail" fails after a piece, "mute" gives none."""

    name = "stepped"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.closed: list[str] = []
        self.allowed = asyncio.Semaphore(0)

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
        self.asked.append(text)
        try:
            for _ in range(0 if text == "mute" else 2):
                await self.allowed.acquire()
                yield text[:2].encode() * 80
                if text == "fail":
                    raise ProviderTimeout(self.name, "too slow")
        finally:
            self.closed.append(text)

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


class Heard:
    """What the streamer and the conversation were given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, bool]] = []
        self.told: list[ev.Event] = []

    def voice(self, tts: SteppedTts) -> Voice:
        return Voice(
            tts, AGENT, 8000, lambda segment, pcm, last: self.sent.append((segment, len(pcm), last)), self.told.append
        )


@pytest.fixture
async def tts() -> SteppedTts:
    return SteppedTts()


async def test_sentences_are_spoken_in_order_and_reported(tts: SteppedTts) -> None:
    heard = Heard()
    voice = heard.voice(tts)
    running = asyncio.create_task(voice.run())
    for n, text in enumerate(["aa", "bb"]):
        voice.say(Say(f"1.{n}", text))
    for _ in range(4):
        tts.allowed.release()
    await until(lambda: len(heard.sent) == 6)
    assert heard.sent == [("1.0", 160, False)] * 2 + [("1.0", 0, True)] + [("1.1", 160, False)] * 2 + [("1.1", 0, True)]
    assert heard.told == [
        ev.FirstSound("1.0"),
        ev.Synthesised("1.0", 20),
        ev.FirstSound("1.1"),
        ev.Synthesised("1.1", 20),
    ]
    running.cancel()
    await asyncio.wait([running])


async def test_stopping_forgets_what_is_under_way_and_what_waits(tts: SteppedTts) -> None:
    heard = Heard()
    voice = heard.voice(tts)
    running = asyncio.create_task(voice.run())
    for n, text in enumerate(["aa", "bb", "cc"]):
        voice.say(Say(f"1.{n}", text))
    tts.allowed.release()
    await until(lambda: len(heard.sent) == 1)
    voice.stop()
    voice.say(Say("1.9", "dd"))
    tts.allowed.release()
    tts.allowed.release()
    await until(lambda: ("1.9", 0, True) in heard.sent)
    assert [segment for segment, _, _ in heard.sent] == ["1.0", "1.9", "1.9", "1.9"]
    assert tts.asked == ["aa", "dd"]
    assert tts.closed == ["aa", "dd"]
    running.cancel()
    await asyncio.wait([running])


async def test_what_was_prepared_is_said_without_asking_again(tts: SteppedTts) -> None:
    heard = Heard()
    voice = heard.voice(tts)
    running = asyncio.create_task(voice.run())
    voice.prepare("aa")
    tts.allowed.release()
    await until(lambda: tts.asked == ["aa"])
    assert heard.sent == []
    voice.say(Say("1.0", "aa"))
    await until(lambda: len(heard.sent) == 1)
    tts.allowed.release()
    await until(lambda: ("1.0", 0, True) in heard.sent)
    assert tts.asked == ["aa"]
    assert heard.told == [ev.FirstSound("1.0"), ev.Synthesised("1.0", 20)]
    running.cancel()
    await asyncio.wait([running])


@pytest.mark.parametrize("forgotten", ["dropped", "another prepared", "another said", "call over"])
async def test_nothing_is_left_of_what_was_prepared_in_vain(tts: SteppedTts, forgotten: str) -> None:
    heard = Heard()
    voice = heard.voice(tts)
    running = asyncio.create_task(voice.run())
    voice.prepare("aa")
    await until(lambda: tts.asked == ["aa"])
    match forgotten:
        case "dropped":
            voice.unprepare()
        case "another prepared":
            voice.prepare("bb")
        case "another said":
            voice.say(Say("1.0", "bb"))
        case "call over":
            running.cancel()
    await until(lambda: "aa" in tts.closed)
    assert heard.sent == []
    running.cancel()
    await asyncio.wait([running])
    assert sorted(tts.asked) == sorted(tts.closed)


async def test_what_could_not_be_prepared_is_tried_again(tts: SteppedTts) -> None:
    heard = Heard()
    voice = heard.voice(tts)
    running = asyncio.create_task(voice.run())
    tts.allowed.release()
    voice.prepare("fail")
    await until(lambda: tts.closed == ["fail"])
    voice.say(Say("1.0", "fail"))
    await until(lambda: tts.asked == ["fail", "fail"])
    running.cancel()
    await asyncio.wait([running])


async def test_a_failure_closes_what_was_begun_and_speech_goes_on(tts: SteppedTts) -> None:
    heard = Heard()
    voice = heard.voice(tts)
    running = asyncio.create_task(voice.run())
    for n, text in enumerate(["fail", "mute", "aa"]):
        voice.say(Say(f"1.{n}", text))
    for _ in range(3):
        tts.allowed.release()
    await until(lambda: ("1.2", 0, True) in heard.sent)
    assert heard.sent[:2] == [("1.0", 160, False), ("1.0", 0, True)]
    failed = [event for event in heard.told if isinstance(event, ev.SynthesisFailed)]
    assert [event.segment for event in failed] == ["1.0", "1.1"]
    assert "too slow" in failed[0].reason
    running.cancel()
    await asyncio.wait([running])


async def test_fixed_sentences_are_made_once_and_before_the_call(tts: SteppedTts) -> None:
    speech = PreparedSpeech(tts)
    for _ in range(100):
        tts.allowed.release()
    await speech.prepare([AGENT], sample_rate=8000)
    assert AGENT.greeting in tts.asked
    asked = len(tts.asked)
    pieces = await audio(speech.stream(AGENT.greeting, sample_rate=8000, voice="", language="en"))
    assert b"".join(pieces) == b"He" * 160
    assert len(tts.asked) == asked
    assert [pcm async for pcm in speech.stream("other", sample_rate=8000, voice="", language="en")] == [b"ot" * 80] * 2


def test_the_agents_of_the_repository_are_valid() -> None:
    book = load_agents(Path(__file__).parents[2] / "agents")
    assert book.for_number("33184800000").name == "library"


async def test_numbers_reach_every_voice_as_people_say_them(tts: SteppedTts) -> None:
    for _ in range(10):
        tts.allowed.release()
    speech = PreparedSpeech(tts)
    sentence = "Call +33 1 84 80 00 00 now."
    assert [pcm async for pcm in speech.stream(sentence, sample_rate=8000, voice="", language="en")]
    [asked] = tts.asked
    assert "84" not in asked
    assert asked.startswith("Call ")


async def test_the_providers_are_told_the_language_without_its_region() -> None:
    told: list[str] = []

    class Attentive(SteppedTts):
        async def stream(
            self, text: str, *, sample_rate: int, voice: str, language: str
        ) -> AsyncGenerator[bytes, None]:
            told.append(language)
            yield bytes(160)

    american = AGENT.model_copy(update={"language": "en-US"})
    speech = PreparedSpeech(Attentive())
    await speech.prepare([american], sample_rate=8000)
    made = len(told)
    heard: list[bytes] = []
    voice = Voice(speech, american, 8000, lambda segment, pcm, last: heard.append(pcm), lambda event: None)
    running = asyncio.create_task(voice.run())
    voice.say(Say("1.1", AGENT.greeting))
    voice.say(Say("1.2", "Something that was not prepared."))
    await until(lambda: len(heard) == 4)
    assert set(told) == {"en"}
    # What was prepared was found again.
    assert len(told) == made + 1
    running.cancel()
    await asyncio.wait([running])


async def test_what_was_queued_behind_a_sentence_that_breaks_off_can_be_taken_back(tts: SteppedTts) -> None:
    heard = Heard()

    def tell(event: ev.Event) -> None:
        heard.told.append(event)
        if isinstance(event, ev.SynthesisFailed):
            voice.unsay()

    voice = Voice(tts, AGENT, 8000, lambda segment, pcm, last: heard.sent.append((segment, len(pcm), last)), tell)
    running = asyncio.create_task(voice.run())
    for n, text in enumerate(["fail", "next"]):
        voice.say(Say(f"1.{n}", text))
    tts.allowed.release()
    await until(lambda: len(heard.told) == 2)
    voice.say(Say("1.2", "rest"))
    for _ in range(2):
        tts.allowed.release()
    await until(lambda: len(heard.told) == 4)
    assert tts.asked == ["fail", "rest"]
    # What was made of the first is heard to its end.
    assert heard.sent[:2] == [("1.0", 160, False), ("1.0", 0, True)]
    running.cancel()
    await asyncio.wait([running])
