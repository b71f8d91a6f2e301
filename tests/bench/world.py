"""The system under measurement, and the callers: a stack of real processes, calls placed side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bench.providers import INSTRUCTIONS
from callbus import keys, transcript
from callbus.broker import connect
from devstack.stack import LocalStack
from ringover_sim.caller import place_call
from ringover_sim.errors import AudioError
from ringover_sim.report import CallReport
from ringover_sim.script import CallScript
from support.fake_providers import FakeElevenLabs, FakeOpenAI, one_each

GREETING = "Hello, this is the bench."
APOLOGY = "I am sorry, something went wrong on my side."


class Lines:
    """Prepared lines as a simulator's voice: audio by the text that a script names. s16le mono, at one rate."""

    def __init__(self, rate: int, lines: Mapping[str, bytes]) -> None:
        self._rate = rate
        self._lines = lines

    def speak(self, text: str, rate: int) -> bytes:
        """See ringover_sim.speech.Voice."""
        if rate != self._rate or text not in self._lines:
            raise AudioError(f"no line {text!r} at {rate} Hz")
        return self._lines[text]


def write_agent(folder: Path, **fields: str) -> Path:
    """A folder with one agent, which answers every number."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"name": "bench", "greeting": GREETING, "instructions": INSTRUCTIONS, "apology": APOLOGY, **fields}
    lines = [*(f'{name}: "{value}"' for name, value in texts.items()), "default: true", "recording: false", ""]
    (folder / "bench.yaml").write_text("\n".join(lines), encoding="utf-8")
    return folder


@asynccontextmanager
async def running(
    work: Path, openai: FakeOpenAI, elevenlabs: FakeElevenLabs, agents: Path, **env: str
) -> AsyncIterator[LocalStack]:
    """The stack with these providers; ElevenLabs for both ways of speech unless `env` says otherwise."""
    settings = {
        **one_each(openai, elevenlabs),
        "AGENTS_DIR": str(agents),
        "LOG_FORMAT": "json",
    }
    async with LocalStack(work, env=settings | env) as stack:
        yield stack


async def place_all(
    stack: LocalStack, scripts: Sequence[CallScript], voice: Lines, *, apart_s: float = 0.137
) -> list[CallReport]:
    """Place these calls side by side, each begun a moment after the one before: callers don't speak in step."""

    async def place(number: int, script: CallScript) -> CallReport:
        await asyncio.sleep(number * apart_s)
        return await place_call(
            script,
            gateway_url=stack.gateway_url,
            streamer_url=stack.streamer_url,
            secret=stack.webhook_secret,
            token=stack.streamer_token or None,
            voice=voice,
        )

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(place(number, script)) for number, script in enumerate(scripts)]
    return [task.result() for task in tasks]


async def entries_of(stack: LocalStack, call_id: str) -> list[transcript.Entry]:
    """The call's transcript."""
    async with connect(stack.redis_url) as broker:
        return [transcript.decode(fields) for _, fields in await broker.range(keys.transcript(call_id))]


def clock_offset() -> float:
    """What to add to the monotonic clock of this process for epoch seconds."""
    return time.time() - time.monotonic()
