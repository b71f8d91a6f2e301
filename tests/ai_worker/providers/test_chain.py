"""One request to a chain: who is asked, what is given out, what is logged and counted when one fails."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
import structlog
from structlog.testing import capture_logs

from ai_worker.providers.attempts import Counts, Link
from ai_worker.providers.base import (
    ProviderDenied,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    TextDelta,
    Transcript,
)
from ai_worker.providers.chain import TtsChain
from support.scripted_chain import (
    DEADLINE,
    HI,
    Scripted,
    ScriptedChat,
    ScriptedVoice,
    Step,
    answer,
    down,
    llm_chain,
    spoken,
    stt_chain,
    transcript,
    tts_chain,
)

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


async def test_a_call_is_told_in_words_who_took_over() -> None:
    notes: list[str] = []
    broken: list[Step] = [ProviderRefused("a", "no credit for 33612345678 " + "x" * 500)]
    for asking in (
        transcript(stt_chain(Scripted("a", [down()]), Scripted("b")).reporting(lambda _: None, notes.append)),
        answer(llm_chain(ScriptedChat("a", broken), ScriptedChat("b")).reporting(lambda _: None, notes.append).first()),
        answer(llm_chain(ScriptedChat("a", broken), ScriptedChat("b")).reporting(lambda _: None, notes.append)),
        spoken(tts_chain(ScriptedVoice("a"), ScriptedVoice("b")).reporting(lambda _: None, notes.append)),
    ):
        with suppress(ProviderError):
            await asking
    first, second = notes
    assert first == f"stt: a failed ({down().reason}); b took over"
    assert second.startswith("llm: a failed (no credit")
    assert second.endswith("); b took over")
    assert "33612345678" not in second
    assert len(second) < 250


async def test_a_call_is_told_who_answers_while_the_first_one_is_kept_out() -> None:
    notes: list[str] = []
    denied: list[Step] = [ProviderDenied("a", "the API key was not accepted")]
    chain = llm_chain(ScriptedChat("a", denied), ScriptedChat("b")).reporting(lambda _: None, notes.append)
    for _ in range(2):
        assert await answer(chain) == "ok"
    assert notes == ["llm: a failed (the API key was not accepted); b took over", "llm: a is kept out; b took over"]


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


async def test_the_rest_of_a_sentence_that_broke_off_is_for_another_voice() -> None:
    now, notes, counts = 0.0, list[str](), Counts()
    bad, good = ScriptedVoice("bad", ["a", down("bad")], ["B"]), ScriptedVoice("good", ["g"])
    shared = TtsChain(
        [Link(voice.name, voice) for voice in (bad, good)], deadline=DEADLINE, counts=counts, clock=lambda: now
    )
    chain = shared.reporting(lambda _: None, notes.append)

    with pytest.raises(ProviderError, match="HTTP 500"):
        await spoken(chain)
    assert await spoken(chain) == await spoken(chain) == "g"
    assert counts.switches == {("tts", "bad"): 2}
    assert notes == ["tts: bad failed (HTTP 500); good took over"] * 2
    # One call's bad luck is no other call's; and after a while it is forgotten.
    assert await spoken(shared.reporting(lambda _: None)) == "B"
    now = 10.0
    assert await spoken(chain) == "B"


async def test_a_lone_voice_that_broke_off_is_asked_for_the_rest() -> None:
    chain, notes = tts_chain(ScriptedVoice("only", ["a", down("only")], ["b"])), list[str]()
    chain = chain.reporting(lambda _: None, notes.append)
    with pytest.raises(ProviderError):
        await spoken(chain)
    assert await spoken(chain) == "b"
    assert notes == []
