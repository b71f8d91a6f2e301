"""A caller's audio through the real process: from either wire to the bus, and into the recording."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
from websockets.frames import Frame, Opcode

from callbus import commands, keys
from callbus.broker import Broker
from callbus.media import Dtmf, MediaEnded, MediaStarted
from support.streamer_calls import audio, audio_of, received, state_with
from support.streamer_process import FRAME, Streamer, Worker
from support.waiting import until


async def test_audio_arrives_whole_and_in_order(dial: Any, bus: Broker, call_id: str) -> None:
    frames = [struct.pack("<h", n) * 160 for n in range(1, 101)]
    async with dial(call_id) as client:
        for frame in frames:
            await client.send(frame)
        worker = await Worker.claim(bus, call_id)
        found = await audio_of(worker, 100 * 320)
        assert b"".join(event.pcm for event in found) == b"".join(frames)
        position = 0
        for event in found:
            assert event.position_ms == position
            assert len(event.pcm) % 320 == 0
            assert abs(event.at - time.time()) < 10
            position += len(event.pcm) // 16
        (first, *_) = await worker.events()
        assert isinstance(first, MediaStarted)
        assert (first.sample_rate, first.resumed) == (8000, False)
    ended = await worker.until_told(MediaEnded)
    assert ended.reason == "closed"
    assert isinstance((await worker.events())[-1], MediaEnded)
    state = await worker.state()
    assert (state["media"], state["sample_rate"]) == ("ended", "8000")
    await worker.finish()


async def test_messages_in_fragments_and_frames_in_pieces_are_the_same_audio(
    dial: Any, bus: Broker, call_id: str
) -> None:
    frames = [struct.pack("<h", n) * 160 for n in range(1, 61)]
    async with dial(call_id) as client:
        for start in range(0, 60, 3):
            whole, fragmented, sliced = frames[start : start + 3]
            await client.send(whole)
            await client.send([fragmented[:100], b"", fragmented[100:]])
            wire = Frame(Opcode.BINARY, sliced).serialize(mask=True)
            for piece in (wire[:3], wire[3:9], wire[9:]):
                client.transport.write(piece)
                await asyncio.sleep(0)
        worker = await Worker.claim(bus, call_id)
        found = await audio_of(worker, 60 * 320)
        assert b"".join(event.pcm for event in found) == b"".join(frames)
        await worker.finish()


async def test_sixteen_khz_stereo_is_announced_and_mixed_down(dial: Any, bus: Broker, call_id: str) -> None:
    stereo = np.empty((320, 2), dtype="<i2")
    stereo[:, 0], stereo[:, 1] = 77, 99
    async with dial(call_id, "&sample_rate=16000&channels=2") as client:
        for _ in range(5):
            await client.send(stereo.tobytes())
        worker = await Worker.claim(bus, call_id)
        found = await audio_of(worker, 5 * 640)
        assert b"".join(event.pcm for event in found) == struct.pack("<h", 77) * 1600
        assert (await worker.state())["sample_rate"] == "16000"
        await worker.speak("s1", audio(300, 16000))
        message = await received(client)
        assert message["data"]["sampleRate"] == 16000
    await worker.finish()


async def test_the_json_dialect_is_acknowledged(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial() as client:
        await client.send(json.dumps({"event": "call_start", "call_id": call_id}))
        assert await received(client) == {"event": "call_started", "call_id": call_id}
        data = base64.b64encode(FRAME).decode()
        for _ in range(3):
            await client.send(json.dumps({"event": "audio_data", "call_id": call_id, "data": data}))
        worker = await Worker.claim(bus, call_id)
        assert b"".join(event.pcm for event in await audio_of(worker, 960)) == FRAME * 3
        await client.send('{"event": "audio_data", "data": "%%%"}')
        assert (await received(client))["event"] == "error"
        await client.send(json.dumps({"event": "call_end", "call_id": call_id}))
        assert await received(client) == {"event": "call_ended", "call_id": call_id}
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == 1000
    assert (await worker.until_told(MediaEnded)).reason == "call_end"
    await worker.finish()


async def test_others_get_nothing_but_the_documented_messages(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id) as client:
        await client.send('{"broken')
        await client.send("hello")
        await client.send(json.dumps({"event": "dtmf", "digit": "5"}))
        worker = await Worker.claim(bus, call_id)
        assert (await worker.until_told(Dtmf)).digit == "5"
        await worker.send(commands.Digits(call_id, worker.epoch, "a1", "1"))
        assert await received(client) == {"event": "digits", "data": 1}
    await worker.finish()


async def test_the_recording_holds_both_sides(running: Streamer, dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        await worker.send(commands.Record(call_id, worker.epoch, True))
        await worker.speak("s1", audio(400))
        for _ in range(40):
            await client.send(FRAME)
            await asyncio.sleep(0.02)
        session = (await worker.state())["session"]
        assert (await until(lambda: state_with(worker, record="1")))["record"] == "1"
    await worker.until_told(MediaEnded)
    folder = running.calls_dir / call_id
    (part,) = await until(lambda: list(folder.glob(f"*-{session}.part")))
    await until(lambda: part.stat().st_size >= 32_000 * 0.75)
    sidecar = json.loads(part.with_suffix(".json").read_text())
    assert sidecar["sample_rate"] == 8000
    assert sidecar["session"] == session
    assert Path(part).name.startswith(str(int(sidecar["started_at"] * 1000))[:-3])
    left, right = np.frombuffer(part.read_bytes(), "<i2").reshape(-1, 2).T
    assert np.count_nonzero(right) == 3200, "all of the bot's 400 ms"
    assert np.count_nonzero(left) >= 0.7 * 8000
    await worker.finish()


async def test_a_finished_conversation_is_sent_no_more_audio(
    running: Streamer, dial: Any, bus: Broker, call_id: str
) -> None:
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        await worker.finish()
        lost = await running.metric("bus_entries_lost_total")
        await client.send(FRAME)
        await until(lambda: _metric_above(running, "bus_entries_lost_total", lost))

        async def silent() -> bool:
            before = await running.metric("bus_entries_lost_total")
            await client.send(FRAME)
            await asyncio.sleep(0.05)
            return await running.metric("bus_entries_lost_total") == before

        await until(silent, timeout=5)
        assert not await bus.execute("EXISTS", keys.media_in(call_id))


async def _metric_above(running: Streamer, name: str, value: float) -> bool:
    return await running.metric(name) > value
