"""Whole calls through real processes: placing them, and reading what the system wrote down about them."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from callbus import keys, transcript
from callbus.broker import connect
from devstack.stack import LocalStack
from ringover_sim.caller import place_call
from ringover_sim.report import CallReport
from ringover_sim.script import CallScript
from ringover_sim.speech import Voice
from support.waiting import until

QUESTION = "What are your opening hours?"
ANSWER_WORDS = ("saturdays", "ten to four")


@contextmanager
def running(directory: Path, **options: Any) -> Iterator[LocalStack]:
    """A stack for the tests of a module: started and stopped outside of their event loops."""
    stack = LocalStack(directory, **options)
    asyncio.run(stack.__aenter__())
    try:
        yield stack
    finally:
        asyncio.run(stack.__aexit__(None, None, None))


async def place(stack: LocalStack, script: CallScript, voice: Voice, **options: Any) -> CallReport:
    """Place a call; its report, with every expectation held."""
    report = await place_call(
        script,
        gateway_url=stack.gateway_url,
        streamer_url=stack.streamer_url,
        secret=stack.webhook_secret,
        token=stack.streamer_token or None,
        voice=voice,
        **options,
    )
    assert report.ok, f"{report.failures} {report.violations}\n{report.table()}"
    return report


async def entries_of(stack: LocalStack, call_id: str) -> list[transcript.Entry]:
    """The call's transcript so far."""
    async with connect(stack.redis_url) as broker:
        return [transcript.decode(fields) for _, fields in await broker.range(keys.transcript(call_id))]


async def record_of(stack: LocalStack, call_id: str) -> dict[str, Any]:
    """The call's record, once it is written."""
    path = stack.calls_dir / call_id / "call.json"
    await until(path.exists, timeout=30, what=f"record of {call_id}")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def caller_turns(record: dict[str, Any]) -> list[str]:
    return [turn["caller"]["text"] for turn in record["turns"] if turn["caller"]]


def bot_sentences(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [sentence for turn in record["turns"] for sentence in turn["bot"]]


def heard_text(record: dict[str, Any]) -> str:
    """All that the caller heard, in lower case."""
    return " ".join(sentence["heard_text"] for sentence in bot_sentences(record)).lower()


def read_stereo(path: Path) -> tuple[int, NDArray[np.int16], NDArray[np.int16]]:
    """(sample rate, left: caller, right: bot)."""
    with wave.open(str(path)) as file:
        assert file.getnchannels() == 2
        assert file.getsampwidth() == 2
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        return file.getframerate(), samples[:, 0], samples[:, 1]


def loud(samples: NDArray[np.int16]) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(samples.astype(np.float64) ** 2))) if len(samples) else 0.0
