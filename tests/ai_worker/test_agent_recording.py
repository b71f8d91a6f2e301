"""An apology that was recorded beforehand: read with its agent, heard without any provider."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncGenerator
from pathlib import Path

import numpy as np
import pytest

from ai_worker.agents import Agent, AgentError, load_agents
from ai_worker.conversation import events as ev
from ai_worker.conversation.actions import Say
from ai_worker.providers.base import ProviderError
from ai_worker.voice import Voice
from callbus.pcm import bytes_in, duration_ms
from support.waiting import until

YAML = """name: bot
greeting: Hello.
instructions: Be brief.
apology: I am sorry, {user_firstname|dear caller}. There is a fault on our side. Somebody will help you.
apology_file: sorry.wav
"""


def write(folder: Path, *, rate: int = 24000, channels: int = 1, width: int = 2, seconds: float = 1.5) -> Path:
    """An agent with its recording, a tone of 440 Hz."""
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
    with wave.open(str(folder / "sorry.wav"), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.repeat(tone.astype("<i2"), channels).tobytes() if width == 2 else bytes(len(tone)))
    (folder / "bot.yaml").write_text(YAML)
    return folder


def agent_of(folder: Path) -> Agent:
    return load_agents(folder).default.for_call({"from_number": "33612345678"})


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (24000, 1), (44100, 2)])
@pytest.mark.parametrize("call_rate", [8000, 16000])
def test_it_comes_at_the_rate_of_the_call(tmp_path: Path, rate: int, channels: int, call_rate: int) -> None:
    agent = agent_of(write(tmp_path, rate=rate, channels=channels))
    pcm = agent.recorded("I am sorry, dear caller.", call_rate)
    assert pcm
    assert duration_ms(len(pcm), call_rate) == pytest.approx(1500, abs=2)
    samples = np.frombuffer(pcm, "<i2")
    assert np.argmax(np.abs(np.fft.rfft(samples))) * call_rate / len(samples) == pytest.approx(440, abs=2)
    assert np.abs(samples).max() == pytest.approx(8000, rel=0.05)


def test_the_whole_of_it_is_heard_with_the_first_sentence(tmp_path: Path) -> None:
    agent = agent_of(write(tmp_path))
    assert agent.recorded("There is a fault on our side.", 8000) == bytes(bytes_in(20, 8000))
    assert agent.recorded("Hello.", 8000) is None


@pytest.mark.parametrize(
    ("options", "says"),
    [({"width": 1}, "8 bit"), ({"seconds": 31}, "31.0 s"), ({"channels": 3}, "3 channels"), ({"seconds": 0}, "0.0 s")],
)
def test_what_cannot_be_played_is_an_error_with_its_line(tmp_path: Path, options: dict[str, float], says: str) -> None:
    write(tmp_path, **options)  # type: ignore[arg-type]
    with pytest.raises(AgentError) as refusal:
        load_agents(tmp_path)
    [problem] = refusal.value.problems
    assert "bot.yaml:5: apology_file" in problem
    assert says in problem
    assert "expected a WAV file" in problem


@pytest.mark.parametrize("content", [None, b"", b"RIFF", b"ID3 an mp3"])
def test_what_is_no_wav_is_an_error_with_its_line(tmp_path: Path, content: bytes | None) -> None:
    path = write(tmp_path) / "sorry.wav"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(AgentError, match=r"bot\.yaml:5: apology_file.*sorry\.wav can't be read.*expected a WAV file"):
        load_agents(tmp_path)


class Dead:
    """A voice that never works."""

    name = "dead"

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
        if text:
            raise ProviderError(self.name, "out of order", retryable=True)
        yield b""

    async def warm(self) -> None:
        return

    async def aclose(self) -> None:
        return


async def test_it_is_heard_while_no_voice_works(tmp_path: Path) -> None:
    agent = agent_of(write(tmp_path))
    sent: list[tuple[str, int]] = []
    told: list[ev.Event] = []
    voice = Voice(Dead(), agent, 8000, lambda segment, pcm, last: sent.append((segment, len(pcm))), told.append)
    running = asyncio.create_task(voice.run())
    for number, text in enumerate(["Hello.", "I am sorry, dear caller.", "There is a fault on our side."]):
        voice.say(Say(f"1.{number}", text))
    await until(lambda: ("1.2", 0) in sent)
    assert [event.segment for event in told if isinstance(event, ev.SynthesisFailed)] == ["1.0"]
    assert [event.segment for event in told if isinstance(event, ev.Synthesised)] == ["1.1", "1.2"]
    assert dict(sent[:1]) == {"1.1": pytest.approx(bytes_in(1500, 8000), abs=8)}
    running.cancel()
    await asyncio.wait([running])
