"""Calls that go on while something else happens: their frames' way to Redis is timed, their playback is asked for."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from websockets.asyncio.client import ClientConnection, connect

from callbus import keys, media
from callbus.broker import Broker
from callbus.media import Playback
from callbus.pcm import FRAME_MS
from support.streamer_calls import audio
from support.streamer_process import FRAME, Streamer, Worker


@dataclass(slots=True)
class LiveCall:
    """One call: sends a frame every 20 ms, hears what the bot says."""

    call_id: str
    client: ClientConnection
    worker: Worker
    sent: list[float] = field(default_factory=list)
    """When each frame was sent (epoch s)."""
    heard: int = 0
    """Bytes of the bot's audio."""

    async def talk(self) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            self.sent.append(time.time())
            await self.client.send(FRAME)
            await asyncio.sleep(began + len(self.sent) * FRAME_MS / 1000 - loop.time())

    async def listen(self) -> None:
        async for message in self.client:
            told = json.loads(message)
            if told.get("type") == "streamAudio":
                self.heard += len(base64.b64decode(told["data"]["audioData"]))

    async def answer(self, segment: str) -> float:
        """Let the bot say 200 ms; how long until its first audio is heard (s)."""
        before, asked = self.heard, time.monotonic()
        await self.worker.speak(segment, audio(200))
        while self.heard == before:  # noqa: ASYNC110 - what is waited for comes from another process
            await asyncio.sleep(0.002)
        took = time.monotonic() - asked
        await self.worker.until_told(Playback, state="finished", segment=segment)
        return took

    async def delays(self) -> list[float]:
        """From the sending of each frame to its entry in Redis (s), in order; every frame must be there."""
        frames: dict[int, float] = {}
        for entry_id, fields in await self.worker.broker.range(keys.media_in(self.call_id)):
            event = media.decode(fields)
            if isinstance(event, media.Audio):
                written = int(entry_id.split(b"-")[0]) / 1000
                count = len(event.pcm) // len(FRAME)
                frames.update({event.position_ms // FRAME_MS + n: written for n in range(count)})
        assert sorted(frames) == list(range(len(frames))), "frames are missing"
        assert len(frames) >= len(self.sent) - 5
        return [frames[n] - self.sent[n] for n in sorted(frames)]


@asynccontextmanager
async def live_calls(streamer: Streamer, bus: Broker, count: int, token: str) -> AsyncIterator[list[LiveCall]]:
    """`count` calls that talk for the length of the block, at most 50 s."""
    calls: list[LiveCall] = []
    async with AsyncExitStack() as stack:
        for number in range(count):
            call_id = f"live-{time.time_ns()}-{number}"
            client = await stack.enter_async_context(connect(streamer.url(f"/ws/{call_id}?token={token}")))
            worker = await Worker.claim(bus, call_id)
            calls.append(LiveCall(call_id, client, worker))
        tasks = [asyncio.create_task(work()) for call in calls for work in (call.talk, call.listen)]
        try:
            yield calls
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks)
    for call in calls:
        await call.worker.finish()
