"""A worker's span goes along with its commands: the streamer says below it what it made of them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from ai_worker.conversation.actions import Act
from ai_worker.orders import Orders
from ai_worker.outbox import Outbox
from callbus import commands, keys, tracing
from callbus.broker import Broker
from callbus.claims import Lease
from callbus.media import ActionDone, Playback
from callbus.otlp import Tracer
from support.otlp_collector import Collector
from support.streamer_calls import audio
from support.streamer_process import Worker, streamer
from support.waiting import until


async def test_what_became_of_sentences_and_of_an_action(
    own_redis: str, bus: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call_id = f"traced-{time.time_ns() % 10**9}"
    async with Collector() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        tracer = Tracer("ai-worker")
        turn = tracer.begin("turn", call_id)
        with streamer(tmp_path, own_redis, **settings) as process:
            async with connect(process.url(f"/ws/{call_id}")):
                worker = await Worker.claim(bus, call_id)
                outbox = Outbox(bus, call_id)
                outbox.streamer = process.id
                sending = asyncio.create_task(outbox.run())
                orders = Orders(outbox, Lease("0-0", call_id, worker.epoch, 1), lambda: turn)
                with tracing.under(turn):
                    for last in (False, False, True):
                        orders.speak("s1", audio(200), last)
                    # Too short to be sent alone before it is whole, which it never is.
                    orders.speak("s2", audio(100), False)
                await worker.until_told(Playback, state="started", segment="s1")
                orders.be_silent()
                await worker.until_told(Playback, state="cut", segment="s2")
                orders.act(Act("a1", "digits", "12"))
                await worker.until_told(ActionDone, action_id="a1")
                # Whatever it says of its trace, a command is carried out.
                odd = commands.encode(commands.Digits(call_id, worker.epoch, "a2", "3")) | {b"tp": b"\xff"}
                await bus.append(keys.commands(process.id), odd, maxlen=keys.COMMANDS_MAXLEN, create=False)
                await worker.until_told(ActionDone, action_id="a2")
                turn.end()
                await until(lambda: len(collector.named("streamer.digits")) == 2 and collector.named("turn"))
                sending.cancel()
                await worker.finish()
        await tracer.aclose()
    spoken = {bool(span.attributes.get("on_wire")): span for span in collector.named("streamer.speak")}
    assert set(spoken) == {True, False}
    [whole] = collector.named("turn")
    streamers = [span for span in collector.spans if span.service == "streamer" and span.trace == whole.trace]
    assert {span.parent for span in streamers} == {whole.id}
    assert {span.attributes["call.id"] for span in streamers} == {call_id}
    # Two sentences, the break, the digits.
    assert sorted(span.name for span in streamers if span.name != "redis.out") == [
        "streamer.break",
        "streamer.digits",
        "streamer.speak",
        "streamer.speak",
    ]
    assert len([span for span in streamers if span.name == "redis.out"]) == 4
    assert spoken[False].attributes["cut"] is True
    assert all(whole.start <= span.start <= span.end for span in streamers)
    assert (spoken[True].end - spoken[True].start) / 1e6 < 100
