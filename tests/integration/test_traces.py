"""One turn of a real call, followed through all services by what they send to a collector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.stack import LocalStack
from ringover_sim.script import CallScript, Expectations, HangUp, Say, WaitForBot
from ringover_sim.speech import Voice
from support.fake_providers import FakeElevenLabs, FakeOpenAI, keys_and_addresses
from support.otlp_collector import Collector, Taken
from support.waiting import until
from support.whole_calls import place, record_of

pytestmark = pytest.mark.timeout(120)

QUESTION = "How long can I keep a book?"
ANSWER = "You can keep it for three weeks. Is there anything else?"


def ms(span: Taken) -> float:
    return (span.end - span.start) / 1e6


async def test_one_turn_of_a_call_is_one_trace_through_all_services(tmp_path: Path, voice: Voice) -> None:
    script = CallScript(
        name="traced",
        steps=[WaitForBot(timeout=20), Say(text=QUESTION), WaitForBot(timeout=30), HangUp()],
        expect=Expectations(ended_by="caller", bot_spoke_at_least=2),
    )
    async with (
        Collector() as collector,
        FakeOpenAI(
            answer=lambda messages: ANSWER,
            first_token_ms=100,
            per_token_ms=5,
        ) as openai,
        FakeElevenLabs(hear=lambda pcm, language: QUESTION, first_byte_ms=75, transcription_ms=150) as elevenlabs,
        LocalStack(
            tmp_path,
            env=keys_and_addresses(openai, elevenlabs)
            | {
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
                "OTEL_BSP_SCHEDULE_DELAY": "200",
                "LOG_FORMAT": "json",
                "STT_PROVIDERS": "openai,elevenlabs",
                "TTS_PROVIDERS": "elevenlabs,openai",
            },
        ) as stack,
    ):
        await until(lambda: sum("/stream/" in r.path for r in elevenlabs.requests) >= 2, timeout=30)
        # The greeting is there; from now on others must take over the transcription and the voice.
        openai.models = ("gpt-4o-mini", "gpt-4o-mini-tts")
        elevenlabs.voices = frozenset()
        report = await place(stack, script, voice)
        [turn] = await until(lambda: collector.named("turn", **{"turn.number": 1}), timeout=20)
        logs = {name: stack.process(name).log for name in ("ai-worker-1", "ai-jobs", "streamer", "webhook-gateway")}
        await until(lambda: collector.named("streamer.speak", on_wire=True), timeout=10)
        record = await record_of(stack, report.call_id)
    # Who reads the call's record later is told who took over.
    notes = [note["note"] for turn in record["turns"] for note in turn["notes"]]
    assert any(note.startswith("tts: elevenlabs") and note.endswith("; openai-tts took over") for note in notes), notes
    spans = collector.trace(turn.trace)
    story = "\n".join(map(str, spans))

    # Every span, of every service, names its call; none ends before it begins, none begins before its parent.
    assert {span.attributes.get("call.id") for span in collector.spans} == {report.call_id}
    by_id = {span.id: span for span in collector.spans}
    for span in collector.spans:
        assert span.end >= span.start, story
        assert span.parent in by_id or not span.parent, f"{span}\n{story}"
        assert not span.parent or by_id[span.parent].start <= span.start, f"{span}\n{story}"
        assert span.failed == (span.name in ("stt openai", "tts elevenlabs")), f"{span}\n{story}"

    # One turn, one trace: the streamer's part and the providers' requests are below the worker's turn.
    assert turn.parent == ""
    assert {span.service for span in spans} == {"ai-worker", "streamer"}, story
    below: dict[str, list[Taken]] = {}
    for span in spans:
        below.setdefault(span.name, []).append(span)
    for name in ("redis.in", "end of turn", "voice to voice", "stt", "llm"):
        assert all(span.parent == turn.id for span in below[name]), f"{name}\n{story}"
    for name, stage in (
        ("stt openai", "stt"),
        ("stt elevenlabs", "stt"),
        ("llm openai", "llm"),
        ("tts elevenlabs", "tts"),
        ("tts openai", "tts"),
    ):
        assert all(by_id[span.parent].name == stage for span in below[name]), f"{name}\n{story}"
    refused, taken_over = below["tts elevenlabs"][0], below["tts openai"][0]
    assert (refused.attributes["error.type"], refused.attributes["fallback"]) == ("ProviderRefused", False)
    assert (refused.parent, taken_over.attributes["fallback"]) == (taken_over.parent, True)
    assert refused.end <= taken_over.start
    [llm] = below["llm openai"]
    assert (llm.attributes["model"], llm.attributes["fallback"]) == ("gpt-4o-mini", False)
    assert llm.attributes["first_ms"] >= 100
    assert all(by_id[span.parent].name == "tts" for name in ("redis.out", "streamer.speak") for span in below[name])

    # In the order in which they happened, by one clock.
    first_out = min(below["streamer.speak"], key=lambda span: span.start)
    [way_in], [end_of_turn], [heard] = below["redis.in"], below["end of turn"], below["voice to voice"]
    stt = max(below["stt elevenlabs"], key=lambda span: span.end)
    moments = [turn.start, way_in.start, way_in.end, stt.start, stt.end, end_of_turn.end, first_out.start]
    assert moments == sorted(moments), f"{moments}\n{story}"
    assert first_out.start <= first_out.end <= heard.end + 5e6, story
    assert llm.end <= turn.end, story
    assert 100 < ms(heard) < 5_000
    assert ms(heard) == pytest.approx(heard.attributes["voice_to_voice_ms"], abs=15)
    assert ms(way_in) == pytest.approx(way_in.attributes["hop.in_ms"], abs=5)
    assert all(0 <= ms(span) < 1_000 for span in below["redis.out"])

    # The call's coming: webhook, publishing and claim in one trace, which the turns refer to.
    [claim] = collector.named("claim")
    [publish, *_] = [span for span in collector.trace(claim.trace) if span.name == "redis.publish"]
    webhook = by_id[publish.parent]
    assert (webhook.service, webhook.name) == ("webhook-gateway", "webhook call.ringing")
    assert claim.parent == webhook.id
    assert claim.start >= publish.start
    assert turn.links == (claim.trace,)

    # Neither what was said nor who called.
    told = json.dumps([(span.name, span.attributes) for span in collector.spans])
    for secret in (script.caller, script.called, "book", "three weeks", "anything else"):
        assert secret not in told

    # And in the logs: a call's line names the call, and the worker's the turn.
    for name, log in logs.items():
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
        check_lines(name, lines, report.call_id)


def check_lines(name: str, lines: list[dict[str, Any]], call_id: str) -> None:
    about = [line for line in lines if call_id in json.dumps(line)]
    assert about, name
    assert all(line.get("call_id") == call_id for line in about), about
    if name.startswith("ai-worker"):
        assert [line["turn"] for line in about] == [1] * len(about), about
        # The words of turn 1 were asked for before there was one, its voice when it was answered.
        assert {line["seam"] for line in about if line["event"] == "provider switched"} == {"stt", "tts"}, about
        assert about[-1]["event"] == "call finished", about
