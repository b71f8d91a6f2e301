"""Lives of sessions in the real process: which call a connection belongs to, how it is lost, how it ends."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from callbus import calls, commands, keys
from callbus.broker import Broker
from callbus.media import MediaEnded, MediaStarted, Playback
from support.streamer_calls import audio, audio_of, pieces_of, received, ringing, state_with
from support.streamer_process import FRAME, Streamer, Worker
from support.waiting import until


async def test_lifecycle_is_published(dial: Any, bus: Broker, call_id: str) -> None:
    async with dial(call_id):
        await until(lambda: lifecycle(bus, call_id))
    await until(lambda: _has(lifecycle(bus, call_id), ["connected", "ended"]))


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
    assert (await until(lambda: state_with(worker, media="away")))["media_closed"]
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


@pytest.mark.parametrize("outcome", ["bot_ended", "caller_left"])
async def test_who_comes_back_in_the_moment_of_the_calls_end_is_let_go(
    dial: Any, bus: Broker, call_id: str, outcome: str
) -> None:
    async with dial(call_id):
        worker = await Worker.claim(bus, call_id)
    async with dial(call_id) as client:
        await worker.until_told(MediaStarted, resumed=True)
        await worker.finish(outcome)
        await asyncio.wait_for(client.wait_closed(), 5)
        assert client.close_code == 1000


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
    await ringing(bus, call_id, number, "33187654321")
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
        state = await until(lambda: state_with(worker, linked_call_id=call_id))
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


async def lifecycle(bus: Broker, call_id: str) -> list[str]:
    """What was published of this call's media, in order."""
    events = [calls.LifecycleEvent.from_fields(fields) for _, fields in await bus.range(keys.EVENTS)]
    return [event.event for event in events if event.call_id == call_id and event.resource == "media"]


async def _has(found: Any, expected: list[str]) -> bool:
    names: list[str] = await found
    return names == expected


async def _metric_is(running: Streamer, name: str, value: float) -> bool:
    return await running.metric(name) == value
