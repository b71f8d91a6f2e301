"""The chains with providers that do as the test says: who is asked, what is given out, what is logged and counted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence

import pytest
import structlog
from structlog.testing import capture_logs

from ai_worker.providers.attempts import Counts, Link
from ai_worker.providers.base import (
    ChatMessage,
    LanguageModel,
    ProviderDenied,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    TextDelta,
    ToolCall,
    ToolSpec,
    Transcript,
)
from ai_worker.providers.breaker import BreakerRules, CircuitBreaker
from ai_worker.providers.chain import LlmChain, SttChain, TtsChain
from support.speech_stream import audio

HI = (ChatMessage("user", "Hi"),)
# Far above what an answer at once takes, far below what a test may take.
DEADLINE = 0.2

Step = str | float | ProviderError
"""A piece of text, a pause in seconds, or a failure."""


class Scripted:
    """A provider of all three seams; each request takes the next script, the last one for good."""

    def __init__(self, name: str, *scripts: Sequence[Step]) -> None:
        self.name = name
        self.scripts = list(scripts) or [["ok"]]
        self.asked: list[tuple[str, str]] = []
        self.ended = 0
        self.warmed = self.closed = 0
        self.cannot_warm: ProviderError | None = None

    async def _steps(self, voice: str = "", language: str = "") -> AsyncGenerator[str, None]:
        self.asked.append((voice, language))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            for step in script:
                if isinstance(step, ProviderError):
                    raise step
                if isinstance(step, float):
                    await asyncio.sleep(step)
                else:
                    yield step
        finally:
            self.ended += 1

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
        async with contextlib.aclosing(self._steps(language=language)) as steps:
            return Transcript("".join([step async for step in steps]))

    async def warm(self) -> None:
        self.warmed += 1
        if self.cannot_warm:
            raise self.cannot_warm

    async def aclose(self) -> None:
        self.closed += 1


class ScriptedChat(Scripted):
    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[TextDelta | ToolCall, None]:
        async with contextlib.aclosing(self._steps()) as steps:
            async for step in steps:
                yield TextDelta(step)


class ScriptedVoice(Scripted):
    """A step is its own audio: its letters, each 10 ms at 8000 Hz."""

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
        async with contextlib.aclosing(self._steps(voice, language)) as steps:
            async for step in steps:
                yield b"".join(bytes([letter]) * 160 for letter in step.encode())


def stt_chain(*providers: Scripted, counts: Counts | None = None) -> SttChain:
    return SttChain([Link(p.name, p) for p in providers], deadline=DEADLINE, counts=counts)


def llm_chain(*providers: ScriptedChat, counts: Counts | None = None) -> LlmChain:
    return LlmChain([Link(p.name, p) for p in providers], deadline=DEADLINE, counts=counts)


def tts_chain(*providers: ScriptedVoice, counts: Counts | None = None) -> TtsChain:
    return TtsChain([Link(p.name, p) for p in providers], deadline=DEADLINE, counts=counts)


async def transcript(chain: SttChain, language: str = "en", seconds: float = 0.1) -> str:
    return (await chain.transcribe(bytes(round(16000 * seconds)), 8000, language=language)).text


async def answer(chain: LlmChain) -> str:
    return "".join([delta.text async for delta in chain.stream(HI) if isinstance(delta, TextDelta)])


async def spoken(chain: TtsChain, voice: str = "", language: str = "en") -> str:
    stream = chain.stream("Hello.", sample_rate=8000, voice=voice, language=language)
    return b"".join(await audio(stream))[::160].decode()


def down(name: str = "a") -> ProviderError:
    return ProviderError(name, "HTTP 500", retryable=True)


FAILURES: list[list[Step]] = [
    [down()],
    [ProviderTimeout("a", "late")],
    [ProviderRefused("a", "no such voice")],
    [ProviderDenied("a", "the API key was not accepted")],
    [30.0, "too late"],
]


@pytest.mark.parametrize("script", FAILURES, ids=str)
async def test_the_next_one_takes_over_within_the_request(script: list[Step]) -> None:
    began = asyncio.get_running_loop().time()
    counts = Counts()
    for asking in (
        transcript(stt_chain(Scripted("a", script), Scripted("b"), counts=counts)),
        answer(llm_chain(ScriptedChat("a", script), ScriptedChat("b"), counts=counts)),
        spoken(tts_chain(ScriptedVoice("a", script), ScriptedVoice("b"), counts=counts)),
    ):
        assert await asking == "ok"
    assert asyncio.get_running_loop().time() - began < 3 * (DEADLINE + 0.5)
    each = {"stt": {"a": 1}, "llm": {"a": 1}, "tts": {"a": 1}}
    assert counts.as_dict() == {"switches": each, "failures": each}


async def test_what_failed_or_is_late_is_ended() -> None:
    for late in (Scripted("a", [30.0]), Scripted("a", [down()])):
        await transcript(stt_chain(late, Scripted("b")))
        assert late.ended == 1
    voice = ScriptedVoice("a", [30.0])
    await spoken(tts_chain(voice, ScriptedVoice("b")))
    assert voice.ended == 1


async def test_who_is_last_may_take_longer() -> None:
    slow: list[Step] = [2 * DEADLINE, "late"]
    assert await transcript(stt_chain(Scripted("a", slow))) == "late"
    assert await answer(llm_chain(ScriptedChat("a", [down()]), ScriptedChat("b", slow))) == "late"
    assert await spoken(tts_chain(ScriptedVoice("a", slow))) == "late"


async def test_a_long_utterance_may_take_longer() -> None:
    chain = stt_chain(Scripted("a", [2 * DEADLINE, "all of it"]), Scripted("b"))
    assert await transcript(chain, seconds=20.0) == "all of it"
    assert await transcript(chain, seconds=0.5) == "ok"


async def test_when_all_fail_the_reasons_are_named() -> None:
    chain = stt_chain(Scripted("a", [down()]), Scripted("b", [ProviderRefused("b", "not my language")]))
    with pytest.raises(ProviderError) as failure:
        await transcript(chain)
    assert str(failure.value) == "stt: every provider failed: a: HTTP 500; b: not my language"
    assert failure.value.retryable

    alone = ProviderRefused("a", "not my language")
    with pytest.raises(ProviderRefused) as refusal:
        await transcript(stt_chain(Scripted("a", [alone])))
    assert refusal.value is alone


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    counts = Counts()
    other = ScriptedChat("b")
    chain = llm_chain(ScriptedChat("a", ["We are open ", down()]), other, counts=counts)
    stream = chain.stream(HI)
    assert await anext(stream) == TextDelta("We are open ")
    with pytest.raises(ProviderError, match="a: HTTP 500"):
        await anext(stream)
    assert other.asked == []
    assert counts.as_dict() == {"switches": {}, "failures": {"llm": {"a": 1}}}


async def test_a_sentence_that_broke_off_is_for_the_conversation_to_say() -> None:
    other = ScriptedVoice("b")
    chain = tts_chain(ScriptedVoice("a", ["Hel", down()]), other)
    with pytest.raises(ProviderError, match="a: HTTP 500"):
        await spoken(chain)
    assert other.asked == []


async def test_speech_that_runs_dry_is_late() -> None:
    drip: list[Step] = [piece for _ in range(100) for piece in ("a", 0.05)]  # 10 ms of speech every 50 ms
    began = asyncio.get_running_loop().time()
    with pytest.raises(ProviderTimeout, match="next audio"):
        await spoken(tts_chain(ScriptedVoice("a", drip), ScriptedVoice("b")))
    assert asyncio.get_running_loop().time() - began < 2


async def test_speech_that_is_ahead_of_the_caller_may_pause() -> None:
    pause: list[Step] = ["a" * 60, 2 * DEADLINE, "b"]  # 600 ms of speech, then nothing for 400 ms
    assert await spoken(tts_chain(ScriptedVoice("a", pause), ScriptedVoice("b"))) == "a" * 60 + "b"


async def test_a_provider_that_keeps_failing_is_not_asked() -> None:
    now = 0.0
    bad, good = ScriptedChat("bad", [down("bad")]), ScriptedChat("good")
    links: list[Link[LanguageModel]] = [
        Link("bad", bad, CircuitBreaker(BreakerRules(failures=3, pause=10.0))),
        Link("good", good),
    ]
    chain = LlmChain(links, deadline=DEADLINE, clock=lambda: now)
    for _ in range(5):
        assert await answer(chain) == "ok"
    assert len(bad.asked) == 3
    assert chain.name == "good"
    assert chain.state() == {
        "bad": {"state": "open", "out_for_s": 10.0},
        "good": {"state": "closed", "out_for_s": 0.0},
    }

    now = 10.0
    bad.scripts = [["back"]]
    assert await answer(chain) == "back"
    assert chain.name == "bad"
    assert chain.state()["bad"]["state"] == "closed"


async def test_only_one_call_finds_out_whether_it_is_back() -> None:
    now = 0.0
    bad, good = ScriptedChat("bad", [down("bad")], [DEADLINE / 2, "back"]), ScriptedChat("good")
    links: list[Link[LanguageModel]] = [
        Link("bad", bad, CircuitBreaker(BreakerRules(failures=1, pause=10.0))),
        Link("good", good),
    ]
    chain = LlmChain(links, deadline=DEADLINE, clock=lambda: now)
    await answer(chain)
    now = 10.0
    assert sorted(await asyncio.gather(*(answer(chain) for _ in range(4)))) == ["back", "ok", "ok", "ok"]


async def test_when_all_are_kept_out_they_are_asked_all_the_same() -> None:
    broken = ProviderDenied("a", "the API key was not accepted")
    first, second = Scripted("a", [broken]), Scripted("b", [ProviderDenied("b", "no credit")], ["ok"])
    chain = stt_chain(first, second)
    with pytest.raises(ProviderError, match="every provider failed"):
        await transcript(chain)
    assert {state["state"] for state in chain.state().values()} == {"open"}

    assert await transcript(chain) == "ok"
    assert chain.name == "b"


async def test_one_agents_unknown_language_keeps_nobody_out() -> None:
    first = Scripted("a", *[[ProviderRefused("a", "only English")]] * 5, ["English"])
    chain = stt_chain(first, Scripted("b", ["français"]))
    assert [await transcript(chain, "fr") for _ in range(5)] == ["français"] * 5
    assert await transcript(chain, "en") == "English"


async def test_a_caller_who_goes_on_says_nothing_about_the_provider() -> None:
    slow = Scripted("a", [0.1, "ok"])
    chain = stt_chain(slow, Scripted("b"))
    for _ in range(5):
        asking = asyncio.create_task(transcript(chain))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert chain.state()["a"]["state"] == "closed"
    assert slow.ended == 5


async def test_a_bug_is_not_a_providers_failure() -> None:
    class Buggy(Scripted):
        async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
            raise ZeroDivisionError

    other = Scripted("b")
    with pytest.raises(ZeroDivisionError):
        await transcript(stt_chain(Buggy("a"), other))
    assert other.asked == []


async def test_each_switch_is_logged_with_the_call() -> None:
    chain = stt_chain(Scripted("a", [ProviderDenied("a", "wrong key")]), Scripted("b"))
    with (
        capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logs,
        structlog.contextvars.bound_contextvars(call_id="c-1"),
    ):
        await transcript(chain)
    assert [(log["event"], log["call_id"]) for log in logs] == [
        ("provider is kept out", "c-1"),
        ("provider switched", "c-1"),
    ]
    assert logs[0]["seconds"] == 300.0
    assert (logs[1]["from_provider"], logs[1]["to_provider"], logs[1]["reason"]) == ("a", "b", "wrong key")


@pytest.mark.parametrize(
    ("voice", "first", "second"),
    [
        ("", "", ""),
        ("JBFq", "JBFq", ""),
        ("b=coral", "", "coral"),
        ("a=JBFq, b=coral", "JBFq", "coral"),
    ],
)
async def test_each_provider_has_its_own_voice(voice: str, first: str, second: str) -> None:
    a, b = ScriptedVoice("a", [down()]), ScriptedVoice("b")
    await spoken(tts_chain(a, b), voice, "en-GB")
    assert a.asked == [(first, "en")]
    assert b.asked == [(second, "en")]


async def test_the_first_is_warmed_before_the_others() -> None:
    a, b, c = Scripted("a"), Scripted("b"), Scripted("c")
    chain = stt_chain(a, b, c)
    await chain.warm()
    assert (a.warmed, b.warmed, c.warmed) == (1, 0, 0)

    b.cannot_warm = ProviderDenied("b", "wrong key")
    c.cannot_warm = down("c")
    await chain.warm_others()
    assert (a.warmed, b.warmed, c.warmed) == (1, 1, 1)
    assert [state["state"] for state in chain.state().values()] == ["closed", "open", "closed"]
    await chain.aclose()
    assert (a.closed, b.closed, c.closed) == (1, 1, 1)


async def test_the_first_alone_shares_its_breaker() -> None:
    a, b = Scripted("a", [ProviderDenied("a", "wrong key")]), Scripted("b")
    chain = stt_chain(a, b)
    with pytest.raises(ProviderDenied):
        await transcript(chain.first())
    assert chain.name == "b"
