"""Whole calls to answering machines: a recorded greeting, a beep, and a bot that knows what it is."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest

from callbus import transcript
from devstack.stack import LocalStack
from ringover_sim.script import CallScript, Expectations, Pause, Say, SayWav, WaitForEnd
from ringover_sim.speech import Voice
from support.fake_providers import FakeOpenAI
from support.whole_calls import entries_of, heard_text, place, record_of

pytestmark = [pytest.mark.speech, pytest.mark.timeout(120)]

AGENT = """\
name: {name}
numbers: ["{number}"]
default: {default}
greeting: Hello, this is the Maple Street Library.
instructions: You help callers.
answering_machine: {plan}
"""
MESSAGE = "Your book has arrived at the library. Please call us back."
LEAVES, HANGS_UP = "33184800001", "33184800002"
GREETING = "You have reached the voicemail of John Smith. Please leave a message after the tone."
RATE = 8000


def record_greeting(path: Path, voice: Voice) -> None:
    """What an answering machine plays: words, half a second, a beep of 1 kHz; then it records."""
    words = np.frombuffer(voice.speak(GREETING, RATE), "<i2")
    beep = 6000 * np.sin(2 * np.pi * 1000 * np.arange(RATE * 2 // 5) / RATE)
    sound = np.concatenate([words, np.zeros(RATE // 2), beep, np.zeros(RATE // 2)])
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.astype("<i2").tobytes())


async def test_a_machine_gets_its_message_after_the_beep_or_nothing_at_all(tmp_path: Path, voice: Voice) -> None:
    agents, greeting = tmp_path / "agents", tmp_path / "greeting.wav"
    agents.mkdir()
    for name, number, plan in (
        ("leaves", LEAVES, f"{{then: leave_message, say: {MESSAGE}}}"),
        ("hangs_up", HANGS_UP, "{then: hang_up}"),
    ):
        text = AGENT.format(name=name, number=number, plan=plan, default=str(number == LEAVES).lower())
        (agents / f"{name}.yaml").write_text(text, encoding="utf-8")
    await asyncio.to_thread(record_greeting, greeting, voice)

    def script(number: str, speech: Say | SayWav) -> CallScript:
        return CallScript(
            name=f"voicemail-{number[-1]}",
            called=number,
            steps=[Pause(seconds=0.5), speech, WaitForEnd(timeout=30)],
            expect=Expectations(ended_by="bot", close_code=1000),
        )

    async with FakeOpenAI() as server:
        env = {
            "AGENTS_DIR": str(agents),
            "OPENAI_API_KEY": server.api_key,
            "OPENAI_BASE_URL": server.base_url,
            "STT_PROVIDERS": "local",
            "LLM_PROVIDERS": "openai",
            "TTS_PROVIDERS": "local",
        }
        async with LocalStack(tmp_path / "stack", env=env) as stack:
            left, alone = await asyncio.gather(
                place(stack, script(LEAVES, SayWav(path=str(greeting))), voice),
                place(stack, script(HANGS_UP, Say(text="You have reached the voicemail of John Smith.")), voice),
            )
            records = [await record_of(stack, report.call_id) for report in (left, alone)]
            entries = await entries_of(stack, left.call_id)
        assert not [request for request in server.requests if request.path.endswith("/completions")]

    for record in records:
        assert record["machine"]
        assert record["outcome"] == "bot_ended"
    assert MESSAGE.lower() in heard_text(records[0])
    assert MESSAGE.lower() not in heard_text(records[1])
    # After the beep, not into it: the machine would not have recorded it.
    beep_over = left.turns[0].ended_ms - 500
    message = left.playbacks[-1]
    assert message.started_ms is not None
    assert message.started_ms >= beep_over - 50
    done = [entry.kind for entry in entries if isinstance(entry, transcript.Acted) and entry.state == "done"]
    assert done == ["hangup"]
