"""A whole call with OpenAI and ElevenLabs as providers: through their SDKs, against servers that speak their APIs."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstack.stack import LocalStack
from ringover_sim.script import CallScript, Expectations, HangUp, Say, WaitForBot
from ringover_sim.speech import Voice
from support.fake_providers import FakeElevenLabs, FakeOpenAI, keys_and_addresses
from support.fake_providers.openai_api import tokens
from support.whole_calls import caller_turns, heard_text, place, record_of

pytestmark = pytest.mark.timeout(120)

ANSWER = "You can keep it for three weeks. Is there anything else?"


async def test_a_call_with_production_providers(tmp_path: Path, voice: Voice) -> None:
    script = CallScript(
        name="cloud",
        steps=[
            WaitForBot(timeout=20),
            Say(text="How long can I keep a book?"),
            WaitForBot(timeout=30),
            HangUp(),
        ],
        expect=Expectations(ended_by="caller", bot_spoke_at_least=2, max_response_ms=3_000),
    )
    async with (
        FakeOpenAI(
            answer=lambda messages: ANSWER,
            hear=lambda wav, language: "How long can I keep a book?",
            first_token_ms=100,
            per_token_ms=5,
            transcription_ms=150,
        ) as openai,
        FakeElevenLabs(first_byte_ms=75) as elevenlabs,
        LocalStack(
            tmp_path,
            env=keys_and_addresses(openai, elevenlabs),
        ) as stack,
    ):
        report = await place(stack, script, voice)
        record = await record_of(stack, report.call_id)
        transcriptions = [request for request in openai.requests if request.path.endswith("/transcriptions")]
        chats = [request for request in openai.requests if request.path.endswith("/completions")]
        spoken = [request.json["text"] for request in elevenlabs.requests if "/stream/" in request.path]

    assert caller_turns(record) == ["How long can I keep a book?"]
    assert heard_text(record).endswith(ANSWER.lower())
    assert len(chats) == 1
    assert chats[0].json["messages"][-1] == {"role": "user", "content": "How long can I keep a book?"}
    assert chats[0].json["stream"] is True
    assert transcriptions
    assert "You can keep it for three weeks." in spoken
    # The greeting was made before the call, not again for it.
    assert spoken.count("How can I help you?") == 2  # once for each sample rate
    costs = {(line["seam"], line["unit"], line["told"]): line["amount"] for line in record["costs"]["usage"]}
    assert costs["llm", "output_tokens", True] == len(tokens(ANSWER))
    assert costs["tts", "characters", True] == len(ANSWER.replace(" Is", "Is"))
    assert costs["stt", "audio_input_tokens", True] >= 10
    assert record["costs"]["requests_unknown"] == 0
