"""An outage of Redis swallows an answer: what the worker then sends again is not heard, done or written twice."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect

from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.outbox import Outbox
from callbus import commands, keys, media, transcript
from callbus.broker import Broker
from callbus.pcm import bytes_in
from support.losing_proxy import LosingProxy
from support.streamer_process import Streamer, Worker

TOKEN = "a-secret-token"


@pytest.fixture
def call_id() -> str:
    return f"repeats-{time.time_ns() % 10**9}"


@asynccontextmanager
async def outbox_through(proxy: LosingProxy, worker: Worker, streamer: str) -> AsyncIterator[Outbox]:
    """A worker's way out, on a connection that the proxy may cut."""
    broker = Broker(f"redis://127.0.0.1:{proxy.port}/0", timeout=1.0)
    outbox = Outbox(broker, worker.call_id)
    outbox.streamer = streamer
    running = asyncio.create_task(outbox.run())
    try:
        yield outbox
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await broker.aclose()


def audio(ms: float) -> bytes:
    return b"\x05\x01" * (bytes_in(ms, 8000) // 2)


async def test_what_is_sent_again_is_heard_once(running: Streamer, bus: Broker, own_redis: str, call_id: str) -> None:
    repeated = await running.metric("commands_repeated_total")
    redis = urlsplit(own_redis)
    assert redis.hostname
    assert redis.port
    async with (
        LosingProxy(redis.hostname, redis.port) as proxy,
        connect(running.url(f"/ws/{call_id}?token={TOKEN}"), max_size=None) as client,
    ):
        worker = await Worker.claim(bus, call_id)
        async with outbox_through(proxy, worker, running.id) as outbox:
            outbox.send(commands.Record(call_id, worker.epoch, False))
            await outbox.flushed()
            proxy.armed = b"XADD"
            outbox.write(transcript.CallerSaid(1.0, 0.0, 1, "Hello.", "1-0"))
            outbox.write(transcript.BotSays(1.0, "1.1", "A sentence.", 1))
            outbox.send(commands.Speak(call_id, worker.epoch, "1.1", audio(600), False))
            outbox.send(commands.Speak(call_id, worker.epoch, "1.1", audio(200), True))
            outbox.send(commands.Digits(call_id, worker.epoch, "1.2-digits", "7"))
            await outbox.flushed()
            assert proxy.lost == 1
            finished = await worker.until_told(media.Playback, state="finished")
            assert (finished.heard_ms, finished.total_ms) == (800, 800)
            await worker.until_told(media.Playback, state="idle")
            entries = [fields for _, fields in await bus.range(keys.transcript(call_id))]
        # Its successor counts from 1 again.
        successor = Worker(bus, call_id)
        number = 1
        for epoch in (worker.epoch + 1, worker.epoch + 1, worker.epoch):
            command = commands.Speak(call_id, epoch, "2.1", audio(250), True)
            await bus.append(keys.commands(running.id), commands.encode(command, number), maxlen=keys.COMMANDS_MAXLEN)
        await successor.until_told(media.Playback, state="finished", segment="2.1", total_ms=250)
        sent = [json.loads(message) for message in await _received(client)]
    await worker.finish()
    assert [message.get("event") for message in sent if "event" in message] == ["digits"]
    assert await running.metric("commands_repeated_total") >= repeated + 4
    # Both times are in the transcript; who reads it takes them for one.
    assert len(entries) == 4
    history = rebuilt_history(transcript.decode(fields) for fields in entries)
    assert [item if isinstance(item, str) else item.text for item in history.said if not hasattr(item, "call")] == [
        "Hello.",
        "A sentence.",
    ]


async def _received(client: object) -> list[str]:
    """What has come so far."""
    messages: list[str] = []
    try:
        async with asyncio.timeout(0.2):
            while True:
                messages.append(await client.recv())  # type: ignore[attr-defined]
    except TimeoutError:
        return messages
