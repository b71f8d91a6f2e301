"""Calls in and out of the real process: audio to the bus, commands to the wire, lives of sessions."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect

from callbus import calls, commands, keys
from callbus.broker import Broker
from callbus.media import ActionDone, ActionRefused, Audio, Dtmf, MediaEnded, MediaStarted, Playback
from callbus.pcm import bytes_in
from support.streamer_process import FRAME, Streamer, Worker
from support.waiting import until

TOKEN = "a-secret-token"


@pytest.fixture
def call_id(request: pytest.FixtureRequest) -> str:
    return f"{request.node.name[:60].strip('_').replace('[', '.').replace(']', '')}-{time.time_ns() % 10**9}"


@pytest.fixture
def dial(running: Streamer) -> Callable[..., Any]:
    """Open a media connection."""

    @asynccontextmanager
    async def open_(call_id: str | None = None, query: str = "") -> AsyncIterator[ClientConnection]:
        path = f"/ws/{call_id}" if call_id else "/ws"
        async with connect(running.url(f"{path}?token={TOKEN}{query}"), max_size=None) as client:
            yield client

    return open_


def audio(ms: float, rate: int = 8000) -> bytes:
    return b"\x05\x01" * (bytes_in(ms, rate) // 2)


async def received(client: ClientConnection, timeout: float = 5.0) -> dict[str, Any]:
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
    async def enough() -> list[Audio] | None:
        found = [event for event in await worker.events() if isinstance(event, Audio)]
        return found if sum(len(event.pcm) for event in found) >= at_least else None

    frames: list[Audio] = await until(enough)
    return frames


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


async def test_lifecycle_is_published(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id):
        await until(lambda: lifecycle(bus, call_id))
    await until(lambda: _has(lifecycle(bus, call_id), ["connected", "ended"]))


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


async def test_commands_are_the_documented_messages(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        pcm = audio(250)
        await worker.speak("s1", pcm)
        encoded = base64.b64encode(pcm).decode()
        assert await client.recv() == (
            '{"type": "streamAudio", "data": {"audioDataType": "raw", "sampleRate": 8000, '
            f'"audioData": "{encoded}"}}}}'
        )
        await worker.until_told(Playback, state="idle")
        await worker.send(commands.Play(call_id, worker.epoch, "a1", "https://test.com/test.mp3"))
        assert await client.recv() == '{"event": "play", "file": "https://test.com/test.mp3"}'
        await worker.send(commands.Break(call_id, worker.epoch))
        assert await client.recv() == '{"event": "break"}'
        await worker.send(commands.Digits(call_id, worker.epoch, "a2", "123"))
        assert await client.recv() == '{"event": "digits", "data": 123}'
        await worker.send(commands.Transfer(call_id, worker.epoch, "a3", "33184800000"))
        assert await client.recv() == '{"event": "transfer", "data": 33184800000}'
        for action in ("a1", "a2", "a3"):
            await worker.until_told(ActionDone, action_id=action)
        await worker.send(commands.Hangup(call_id, worker.epoch, "a4"))
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == 1000
    ended = await worker.until_told(MediaEnded)
    assert ended.reason == "hangup"
    told = await worker.told()
    assert told.index(ended) > told.index(await worker.until_told(ActionDone, action_id="a4"))
    await worker.finish()


async def test_long_speech_goes_out_in_few_pieces_without_gaps(
    running: Streamer, dial: Any, bus: Broker, call_id: str
) -> None:
    underruns = await running.metric("playout_underruns_total")
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        total = len(audio(4000))

        async def synthesise() -> None:
            # 4 s of speech, synthesised about three times as fast as it is heard.
            for number in range(20):
                await worker.speak("s1", audio(200), last=number == 19)
                await asyncio.sleep(0.06)

        speaking = asyncio.create_task(synthesise())
        pieces = await pieces_of(client, total)
        await speaking
        assert b"".join(pcm for _, pcm in pieces) == audio(4000)
        assert len(pieces) <= 7
        assert len(pieces[0][1]) == len(audio(200))
        heard_until = pieces[0][0]
        for at, pcm in pieces:
            assert at <= heard_until + 0.1, "it came when the one before had ended already"
            heard_until = max(heard_until, at) + len(pcm) / 16000
        started = await worker.until_told(Playback, state="started")
        finished = await worker.until_told(Playback, state="finished")
        assert finished.at - started.at == pytest.approx(4.0, abs=0.05)
        assert (finished.heard_ms, finished.total_ms) == (4000, 4000)
        assert (await worker.told())[-1] == Playback(finished.at, "idle", "s1")
    assert await running.metric("playout_underruns_total") == underruns
    await worker.finish()


async def test_break_silences_at_once_and_tells_what_was_heard(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        await worker.speak("s1", audio(3000))
        await worker.speak("s2", audio(1000))
        await received(client)
        await asyncio.sleep(0.5)
        asked = time.monotonic()
        await worker.send(commands.Break(call_id, worker.epoch))
        assert await received(client) == {"event": "break"}
        assert time.monotonic() - asked < 0.2
        cut = await worker.until_told(Playback, state="cut", segment="s1")
        assert 450 <= cut.heard_ms <= 900
        assert cut.total_ms == 3000
        other = await worker.until_told(Playback, state="cut", segment="s2")
        assert other.heard_ms == 0
        await worker.until_told(Playback, state="idle")
        # Late audio of what was cut is never sent; a new sentence is.
        await worker.speak("s1", audio(500))
        await worker.speak("s3", audio(220))
        (piece,) = await pieces_of(client, 1)
        assert piece[1] == audio(220)
    await worker.finish()


async def test_an_older_epoch_is_not_obeyed(running: Streamer, dial: Any, bus: Broker, call_id: str) -> None:
    stale = await running.metric("commands_stale_total")
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        await worker.speak("new", audio(2000), epoch=worker.epoch + 1)
        await received(client)
        await worker.speak("old", audio(300))
        await worker.send(commands.Break(call_id, worker.epoch))
        await worker.send(commands.Transfer(call_id, worker.epoch, "a1", "1234"))
        await worker.send(commands.Hangup(call_id, worker.epoch, "a2"))
        await worker.send(commands.Digits(call_id, worker.epoch + 1, "a3", "7"))
        assert await received(client) == {"event": "digits", "data": 7}
        assert await running.metric("commands_stale_total") == stale + 4
    await worker.finish()


async def test_a_take_over_drops_what_was_not_sent(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        await worker.speak("s1", audio(700))
        await worker.speak("s2", audio(4000))
        await received(client)
        await worker.send(commands.TakeOver(call_id, worker.epoch + 1))
        idle = await worker.until_told(Playback, state="idle")
        told = [(event.state, event.segment) for event in await worker.told() if isinstance(event, Playback)]
        assert told == [("started", "s1"), ("finished", "s1"), ("cut", "s2"), ("idle", "s2")]
        started = await worker.until_told(Playback, state="started")
        assert idle.at - started.at == pytest.approx(0.7, abs=0.05)
    await worker.finish()


async def test_an_action_is_done_once_whoever_asks(running: Streamer, dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        # Another streamer did it before this call came here.
        await bus.execute("SADD", keys.done_actions(call_id), "a1")
        await bus.execute("EXPIRE", keys.done_actions(call_id), 60)
        await worker.send(commands.Transfer(call_id, worker.epoch, "a1", "1111"))
        await worker.send(commands.Digits(call_id, worker.epoch, "a2", "*1"))
        await worker.send(commands.Digits(call_id, worker.epoch + 1, "a2", "*1"))
        await worker.send(commands.Digits(call_id, worker.epoch + 1, "a3", "5"))
        assert await received(client) == {"event": "digits", "data": "*1"}
        assert await received(client) == {"event": "digits", "data": 5}
        done = [event.action_id for event in await worker.told() if isinstance(event, ActionDone)]
        await worker.until_told(ActionDone, action_id="a3")
        done = [event.action_id for event in await worker.told() if isinstance(event, ActionDone)]
        assert done == ["a1", "a2", "a2", "a3"]
    await worker.finish()


async def test_an_impossible_action_is_refused_and_hurts_nobody(
    running: Streamer, dial: Any, bus: Broker, call_id: str
) -> None:
    refused = await running.metric("commands_refused_total")
    unreadable = await running.metric("commands_unreadable_total")
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        await worker.send(commands.Transfer(call_id, worker.epoch, "a1", "call me"))
        await bus.append(keys.commands(running.id), {b"k": b"nonsense"}, maxlen=100)
        await bus.append(keys.commands(running.id), {b"j": b"{}"}, maxlen=100)
        await worker.send(commands.Digits(call_id, worker.epoch, "a2", "1"))
        await worker.send(commands.Play(call_id, worker.epoch, "a3", "wait.mp3"))
        assert await received(client) == {"event": "digits", "data": 1}
        reason = (await worker.until_told(ActionRefused, action_id="a1")).reason
        assert "can't transfer to 'call me': expected 2 to 20 digits" in reason
        await worker.until_told(ActionRefused, action_id="a3")
        # It is not taken for done: asked again, it is refused again.
        await worker.send(commands.Transfer(call_id, worker.epoch + 1, "a1", "call me"))
        await until(lambda: _refusals(worker, 3))
    assert await running.metric("commands_refused_total") == refused + 3
    assert await running.metric("commands_unreadable_total") == unreadable + 2
    await worker.finish()


async def test_a_dropped_connection_comes_back_to_the_same_conversation(
    running: Streamer, dial: Any, bus: Broker, call_id: str
) -> None:
    async with dial(call_id) as client:
        await client.send(FRAME)
        worker = await Worker.claim(bus, call_id)
        await worker.speak("s1", audio(3000))
        await received(client)
        client.transport.abort()
    cut = await worker.until_told(Playback, state="cut")
    assert cut.segment == "s1"
    assert (await until(lambda: _state(worker, media="away")))["media_closed"]
    # What the worker says and does meanwhile is told to be unheard, and kept for later.
    await worker.speak("s2", audio(300))
    lost = await worker.until_told(Playback, state="cut", segment="s2")
    assert lost.heard_ms == 0
    await worker.send(commands.Digits(call_id, worker.epoch, "a1", "9"))
    async with dial(call_id) as client:
        await worker.until_told(MediaStarted, resumed=True)
        assert await received(client) == {"event": "digits", "data": 9}
        await client.send(FRAME)
        await worker.speak("s3", audio(300))
        assert (await received(client))["type"] == "streamAudio"
        # Fenced as before.
        await worker.speak("old", audio(300), epoch=worker.epoch - 1)
        state = await worker.state()
        assert (state["media"], state["conversation"]) == ("connected", "active")
        assert "media_closed" not in state
    await worker.until_told(MediaEnded)
    assert [event.resumed for event in await worker.told() if isinstance(event, MediaStarted)] == [False, True]
    await until(lambda: _has(lifecycle(bus, call_id), ["connected", "dropped", "connected", "ended"]))
    handed_out = [fields for _, fields in await bus.range(keys.WAITING) if fields[b"call_id"] == call_id.encode()]
    assert len(handed_out) == 1
    await worker.finish()


async def test_a_connection_that_comes_back_before_its_end_was_noticed(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id) as old:
        worker = await Worker.claim(bus, call_id)
        async with dial(call_id) as new:
            await worker.until_told(MediaStarted, resumed=True)
            await asyncio.wait_for(old.wait_closed(), 5)
            await worker.speak("s1", audio(300))
            assert (await received(new))["type"] == "streamAudio"
            assert not [event for event in await worker.told() if isinstance(event, MediaEnded)]
    await worker.until_told(MediaEnded)
    await worker.finish()


async def test_a_call_that_went_to_another_streamer_is_let_go(
    running: Streamer, dial: Any, bus: Broker, call_id: str
) -> None:
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        session = (await worker.state())["session"]
        await bus.execute("HSET", keys.call(call_id), "streamer", "other", "session", "other-session")
        detach = commands.encode(commands.Detach(call_id, 0, session))
        await bus.append(keys.commands(running.id), detach, maxlen=100)
        await asyncio.wait_for(client.wait_closed(), 5)
    assert not [event for event in await worker.told() if isinstance(event, MediaEnded)]
    assert (await worker.state())["media"] == "connected"
    await worker.finish()


async def test_a_session_from_another_streamer_is_detached_there(dial: Any, bus: Broker, call_id: str) -> None:
    await bus.append(keys.commands("elsewhere"), {b"k": b"open"}, maxlen=10)
    await bus.execute("EXPIRE", keys.commands("elsewhere"), 60)
    await calls.update(bus, call_id, conversation="active", streamer="elsewhere", session="s-old", epoch=4)
    async with dial(call_id) as client:
        worker = Worker(bus, call_id)
        await worker.until_told(MediaStarted, resumed=True)

        async def detached() -> commands.Command | None:
            entries = await bus.range(keys.commands("elsewhere"))
            return commands.decode(entries[1][1]) if len(entries) > 1 else None

        assert await until(detached) == commands.Detach(call_id, 0, "s-old")
        # The fence stands here, too.
        await worker.speak("stale", audio(300), epoch=3)
        await worker.speak("fresh", audio(220), epoch=4)
        (piece,) = await pieces_of(client, 1)
        assert piece[1] == audio(220)


async def test_a_call_that_is_over_is_not_opened_again(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id):
        worker = await Worker.claim(bus, call_id)
        await worker.finish()
    async with dial(call_id) as client:
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == 1000
    assert (await worker.state())["conversation"] == "finished"


async def test_the_call_id_may_come_in_the_metadata_after_audio(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial() as client:
        for _ in range(5):
            await client.send(FRAME)
        metadata = {"callId": call_id, "from": "33612345678", "to": "33187654321"}
        await client.send(json.dumps(metadata))
        worker = await Worker.claim(bus, call_id)
        assert b"".join(event.pcm for event in await audio_of(worker, 5 * 320)) == FRAME * 5
        state = await worker.state()
        assert (state["from_number"], state["to_number"]) == ("33612345678", "33187654321")
        assert json.loads(state["metadata"]) == metadata
    await worker.until_told(MediaEnded)
    await worker.finish()


async def test_the_call_may_be_found_by_its_numbers(dial: Any, bus: Broker, call_id: str) -> None:
    number = str(time.time_ns())[-11:]
    await bus.execute("SET", keys.by_numbers(number, "33187654321"), call_id, "EX", 60)
    await calls.update(bus, call_id, state="ringing")
    async with dial() as client:
        await client.send(json.dumps({"from": f"+{number}", "to": 33187654321}))
        worker = await Worker.claim(bus, call_id)
    await worker.until_told(MediaEnded)
    await worker.finish()


async def test_a_call_that_nothing_names_has_a_conversation_of_its_own(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial() as client:
        opened = time.monotonic()
        for _ in range(10):
            await client.send(FRAME)

        async def own() -> str | None:
            waiting = [fields[b"call_id"].decode() for _, fields in await bus.range(keys.WAITING)]
            return next((name for name in waiting if name.startswith("media-")), None)

        own_id = await until(own)
        assert time.monotonic() - opened < 1.5
        worker = await Worker.claim(bus, own_id)
        assert b"".join(event.pcm for event in await audio_of(worker, 3200)) == FRAME * 10
        # Metadata that comes late is kept, and names the call that this one belongs to.
        await client.send(json.dumps({"callId": call_id, "from": "33611111111", "to": "33122222222"}))
        state = await until(lambda: _state(worker, linked_call_id=call_id))
        assert json.loads(state["metadata"])["callId"] == call_id
        assert state["from_number"] == "33611111111"
    await worker.until_told(MediaEnded)
    await worker.finish()


async def test_a_connection_without_audio_or_name_leaves_nothing(running: Streamer, dial: Any, bus: Broker) -> None:
    before = len(await bus.range(keys.WAITING))
    sessions = await running.metric("sessions")
    async with dial():
        assert await running.metric("sessions") == sessions + 1
    await until(lambda: _metric_is(running, "sessions", sessions))
    assert len(await bus.range(keys.WAITING)) == before


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


async def test_a_client_that_reads_nothing_is_dropped(running: Streamer, dial: Any, bus: Broker, call_id: str) -> None:
    slow = await running.metric("slow_readers_dropped_total")
    async with dial(call_id) as client:
        worker = await Worker.claim(bus, call_id)
        client.transport.pause_reading()
        number = 0
        while await running.metric("slow_readers_dropped_total") == slow:
            assert number < 400, "it takes everything"
            await worker.speak(f"s{number}", audio(5000))
            await worker.send(commands.Break(call_id, worker.epoch))
            number += 1
        client.transport.abort()
    await until(lambda: _state(worker, media="away"))
    async with dial(call_id):
        pass
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
        assert (await until(lambda: _state(worker, record="1")))["record"] == "1"
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


async def lifecycle(bus: Broker, call_id: str) -> list[str]:
    """What was published of this call's media, in order."""
    events = [calls.LifecycleEvent.from_fields(fields) for _, fields in await bus.range(keys.EVENTS)]
    return [event.event for event in events if event.call_id == call_id and event.resource == "media"]


async def _has(found: Any, expected: list[str]) -> bool:
    names: list[str] = await found
    return names == expected


async def _state(worker: Worker, **fields: str) -> dict[str, str] | None:
    state = await worker.state()
    return state if all(state.get(name) == value for name, value in fields.items()) else None


async def _metric_is(running: Streamer, name: str, value: float) -> bool:
    return await running.metric(name) == value


async def _metric_above(running: Streamer, name: str, value: float) -> bool:
    return await running.metric(name) > value


async def _refusals(worker: Worker, count: int) -> bool:
    return sum(isinstance(event, ActionRefused) for event in await worker.told()) == count
