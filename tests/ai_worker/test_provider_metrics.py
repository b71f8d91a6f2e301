"""The providers' figures as Prometheus reads them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from ai_worker.provider_metrics import ProviderMetrics
from ai_worker.providers.attempts import Counts
from ai_worker.providers.base import ProviderDenied
from ai_worker.providers.suite import Suite
from support.scripted_chain import Scripted, ScriptedChat, ScriptedVoice, answer, llm_chain, stt_chain, tts_chain


async def test_usage_failures_switches_and_who_is_kept_out() -> None:
    counts = Counts()
    bad, good = ScriptedChat("bad", [ProviderDenied("bad", "no credit left")]), ScriptedChat("good")
    suite = Suite(
        stt_chain(Scripted("ear")), llm_chain(bad, good, counts=counts), tts_chain(ScriptedVoice("mouth")), counts
    )
    registry = CollectorRegistry()
    registry.register(ProviderMetrics(suite))
    for _ in range(2):
        assert await answer(suite.llm) == "ok"

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"ringover_worker_provider_{name}", {"seam": "llm", **labels})

    used = {"model": "", "unit": "requests", "told": "no"}
    assert value("usage_total", provider="good", **used) == 2
    assert value("usage_total", provider="bad", **used) is None
    assert (value("failures_total", provider="bad"), value("switches_total", provider="bad")) == (1, 1)
    assert (value("kept_out", provider="bad"), value("kept_out", provider="good")) == (1, 0)


@pytest.mark.parametrize(("said", "shown"), [("call +33 6 12 34 56 78 failed", "call 3361*****78 failed")])
async def test_a_last_error_has_no_phone_number_in_it(said: str, shown: str) -> None:
    chain = llm_chain(ScriptedChat("a", [ProviderDenied("a", said + " " + 300 * "x")]))
    with pytest.raises(ProviderDenied):
        await answer(chain)
    found = chain.state()["a"]["last_error"]
    assert found.startswith(shown)
    assert len(found) == 200
