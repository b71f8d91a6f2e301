"""The providers of the scale bench as a process of their own: `python -m bench.scale.fakes` prints their addresses.

They speak the real APIs at published latencies; what they say was spoken beforehand, so that they cost little.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import uvloop

from bench.providers import FIRST_BYTE_MS, FIRST_TOKEN_MS, PER_TOKEN_MS, STT_MS
from support.fake_providers import FakeElevenLabs, FakeOpenAI, keys_and_addresses, tone
from support.fake_providers.speech import SECONDS_PER_CHARACTER
from support.recordings import load

HEARD = "Go forward ten meters."
ANSWER = "You can keep a book for three weeks. Is there anything else?"
OPENAI_STT_MS = 640.0
RATE = 8000


async def serve() -> None:
    """Until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    speech = load("librivox_0920").pcm

    def speak(text: str, rate: int) -> bytes:
        length = 2 * round(len(text) * SECONDS_PER_CHARACTER * rate)
        return speech[:length] if rate == RATE and length <= len(speech) else tone(text, rate)

    openai = FakeOpenAI(
        answer=lambda messages: ANSWER,
        hear=lambda wav, language: HEARD,
        first_token_ms=FIRST_TOKEN_MS,
        per_token_ms=PER_TOKEN_MS,
        transcription_ms=OPENAI_STT_MS,
    )
    elevenlabs = FakeElevenLabs(
        speak=speak, hear=lambda pcm, language: HEARD, first_byte_ms=FIRST_BYTE_MS, transcription_ms=STT_MS
    )
    async with openai, elevenlabs:
        sys.stdout.write(json.dumps(keys_and_addresses(openai, elevenlabs)) + "\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    uvloop.run(serve())
