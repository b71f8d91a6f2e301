"""Whom a chain keeps out over its requests: what counts against a provider, and how it comes back."""

from __future__ import annotations

import asyncio
import time

import pytest

from ai_worker.providers.attempts import Link
from ai_worker.providers.base import (
    LanguageModel,
    ProviderDenied,
    ProviderError,
    ProviderRefused,
)
from ai_worker.providers.breaker import BreakerRules, CircuitBreaker
from ai_worker.providers.chain import LlmChain
from support.scripted_chain import (
    DEADLINE,
    Scripted,
    ScriptedChat,
    answer,
    down,
    stt_chain,
    transcript,
)


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
    states = chain.state()
    assert states["good"] == {"state": "closed", "out_for_s": 0.0, "last_error": None, "last_error_at": None}
    assert abs(time.time() - states["bad"].pop("last_error_at")) < 5
    assert states["bad"] == {"state": "open", "out_for_s": 10.0, "last_error": "HTTP 500"}

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
