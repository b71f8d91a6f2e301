"""Keys pressed in-band, through the real process: each told once, and no sound of them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from callbus.broker import Broker
from callbus.g711 import ulaw_encode
from callbus.media import Audio, Dtmf, MediaEnded
from support.media_wire import rtp, telephone_event
from support.recordings import load
from support.streamer_process import Streamer, Worker
from support.tones import through_ulaw, tones

Dial = Callable[[str], AbstractAsyncContextManager[ClientConnection]]
TOKEN = "a-secret-token"


@pytest.fixture
def call_id(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name[:60]}-{time.time_ns() % 10**9}"


@pytest.fixture
def dial(running: Streamer) -> Dial:
    return lambda call_id: connect(running.url(f"/ws/{call_id}?token={TOKEN}"))


def frames_of(pcm: bytes) -> list[bytes]:
    return [pcm[start : start + 320] for start in range(0, len(pcm) - 319, 320)]


async def keys_of(worker: Worker) -> str:
    await worker.until_told(MediaEnded)
    return "".join(event.digit for event in await worker.told() if isinstance(event, Dtmf))


async def test_each_press_is_told_once_and_its_tone_is_not_passed_on(dial: Dial, bus: Broker, call_id: str) -> None:
    speech = load("goforward").pcm
    pressed = through_ulaw(tones("0411#", 8000, on_ms=100, off_ms=80, lead_ms=7))
    sent = frames_of(speech + bytes(-len(speech) % 320) + pressed)
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        for frame in sent:
            await client.send(frame)
            # Several times as fast as a call, and yet not all at once: the streamer keeps 2 s, no more.
            await asyncio.sleep(0.004)
    assert await keys_of(worker) == "0411#"
    audio = [event for event in await worker.events() if isinstance(event, Audio)]
    received = b"".join(event.pcm for event in audio)
    assert len(received) == 320 * len(sent)
    assert [event.position_ms * 16 for event in audio] == list(
        np.cumsum([0] + [len(event.pcm) for event in audio[:-1]])
    )
    assert received.startswith(speech)
    left = np.frombuffer(received[-len(pressed) :], "<i2")
    assert np.count_nonzero(np.abs(left) > 100) < 5 * 8 * 25, "more than 25 ms of a tone"
    await worker.finish()


async def test_a_key_that_is_also_told_in_text_counts_once(dial: Dial, bus: Broker, call_id: str) -> None:
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        for key in "5522":
            for frame in frames_of(tones(key, 8000, on_ms=100)):
                await client.send(frame)
            await client.send(json.dumps({"event": "dtmf", "digit": key}))
        await client.send(json.dumps({"event": "dtmf", "digit": "9"}))
    assert await keys_of(worker) == "55229"
    await worker.finish()


async def test_a_key_that_is_also_told_in_rtp_counts_once(dial: Dial, bus: Broker, call_id: str) -> None:
    sequence = 0
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        for frame in [bytes(320)] * 20 + frames_of(tones("7", 8000, on_ms=100)):
            await client.send(rtp(sequence, ulaw_encode(frame), timestamp=160 * sequence))
            sequence += 1
        for _ in range(3):
            await client.send(telephone_event(sequence, 7, 160 * 20, end=True))
            sequence += 1
        for frame in frames_of(tones("8", 8000, on_ms=100)):
            await client.send(rtp(sequence, ulaw_encode(frame), timestamp=160 * sequence))
            sequence += 1
    assert await keys_of(worker) == "78"
    await worker.finish()
