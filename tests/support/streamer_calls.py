"""A call through the streamer from both its ends: what the media server receives, and what a worker finds."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

from websockets.asyncio.client import ClientConnection

from callbus import calls
from callbus.broker import Broker
from callbus.media import Audio
from callbus.pcm import bytes_in
from support.streamer_process import Worker
from support.waiting import until


def audio(ms: float, rate: int = 8000) -> bytes:
    """A bot's speech, s16le mono."""
    return b"\x05\x01" * (bytes_in(ms, rate) // 2)


async def ringing(broker: Broker, call_id: str, from_number: str, to_number: str) -> None:
    """The webhook of a call that rings has come."""
    await calls.publish_webhook(
        broker,
        calls.LifecycleEvent("call", "ringing", call_id, time.time()),
        delivery=f"ringing-{call_id}",
        state="ringing",
        once={"from_number": from_number, "to_number": to_number},
        latest={},
    )


async def received(client: ClientConnection, timeout: float = 5.0) -> dict[str, Any]:
    """The next message to the media server. Raises TimeoutError."""
    async with asyncio.timeout(timeout):
        message: dict[str, Any] = json.loads(await client.recv())
        return message


async def pieces_of(client: ClientConnection, total: int, timeout: float = 20.0) -> list[tuple[float, bytes]]:
    """streamAudio messages until `total` bytes of audio came: when, and what."""
    pieces: list[tuple[float, bytes]] = []
    async with asyncio.timeout(timeout):
        while sum(len(pcm) for _, pcm in pieces) < total:
            message = json.loads(await client.recv())
            assert message["type"] == "streamAudio"
            pieces.append((time.monotonic(), base64.b64decode(message["data"]["audioData"])))
    return pieces


async def audio_of(worker: Worker, at_least: int) -> list[Audio]:
    """The caller's audio on the call's stream, as soon as it is `at_least` so many bytes."""

    async def enough() -> list[Audio] | None:
        found = [event for event in await worker.events() if isinstance(event, Audio)]
        return found if sum(len(event.pcm) for event in found) >= at_least else None

    frames: list[Audio] = await until(enough)
    return frames


async def state_with(worker: Worker, **fields: str) -> dict[str, str] | None:
    """The call's hash, if it has these fields."""
    state = await worker.state()
    return state if all(state.get(name) == value for name, value in fields.items()) else None
