"""A worker's commands through the real process: what becomes of each on the media server's wire."""

from __future__ import annotations

import asyncio
import base64
import time
from typing import Any

import pytest

from callbus import commands, keys
from callbus.broker import Broker
from callbus.media import ActionDone, ActionRefused, MediaEnded, Playback
from support.streamer_calls import audio, pieces_of, received, state_with
from support.streamer_process import Streamer, Worker
from support.waiting import until


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
    await until(lambda: state_with(worker, media="away"))
    async with dial(call_id):
        pass
    await worker.finish()


async def _refusals(worker: Worker, count: int) -> bool:
    return sum(isinstance(event, ActionRefused) for event in await worker.told()) == count
