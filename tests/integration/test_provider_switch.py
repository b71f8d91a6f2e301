"""A whole call whose model and voice go away in the middle: the next ones take over, and the log says in which call."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from devstack.stack import LocalStack
from ringover_sim.script import CallScript, Expectations, HangUp, Say, WaitForBot
from ringover_sim.speech import Voice
from support.fake_providers import FakeElevenLabs, FakeOpenAI, keys_and_addresses
from support.waiting import until
from support.whole_calls import caller_turns, heard_text, place, record_of

pytestmark = [pytest.mark.speech, pytest.mark.timeout(120)]


def switches(folder: Path, call_id: str) -> list[tuple[str, str, str]]:
    """What the workers' logs say about this call: (seam, from, to)."""
    found: list[tuple[str, str, str]] = []
    for log in folder.rglob("*.log"):
        for line in log.read_text().splitlines():
            entry: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
            if entry.get("event") == "provider switched" and entry.get("call_id") == call_id:
                found.append((entry["seam"], entry["from_provider"], entry["to_provider"]))
    return found


def question_in(pcm: bytes, _language: str) -> str:
    """The caller's question takes more than a second; what is shorter is a breath, or what was left of it."""
    return "How long can I keep a book?" if len(pcm) > 16_000 else ""


async def test_a_call_goes_on_when_its_providers_do_not(tmp_path: Path, voice: Voice) -> None:
    script = CallScript(
        name="switch",
        steps=[WaitForBot(timeout=20), Say(text="How long can I keep a book?"), WaitForBot(timeout=30), HangUp()],
        expect=Expectations(ended_by="caller", bot_spoke_at_least=2),
    )
    async with (
        FakeOpenAI(first_byte_ms=100) as openai,
        FakeElevenLabs(hear=question_in, transcription_ms=200) as elevenlabs,
        LocalStack(
            tmp_path,
            env={
                **keys_and_addresses(openai, elevenlabs),
                "STT_PROVIDERS": "elevenlabs,openai",
                "LLM_PROVIDERS": "openai,local",
                "TTS_PROVIDERS": "elevenlabs,openai",
                "LOG_FORMAT": "json",
            },
        ) as stack,
    ):
        await until(lambda: sum("/stream/" in r.path for r in elevenlabs.requests) >= 2, timeout=30)
        # From now on neither the chat's model nor the voice exists.
        openai.models = ("gpt-4o-mini-tts",)
        elevenlabs.voices = frozenset()
        report = await place(stack, script, voice)
        record = await record_of(stack, report.call_id)

    assert caller_turns(record) == ["How long can I keep a book?"]
    assert len(heard_text(record).split()) > 12
    seen = switches(tmp_path, report.call_id)
    assert ("llm", "openai-chat", "local-llama") in seen
    assert ("tts", "elevenlabs-tts", "openai-tts") in seen
