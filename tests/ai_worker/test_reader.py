"""What the reader of all of a worker's calls does about a call that can't be served: the others go on."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import httpx
import pytest

from ai_worker.audio_way import AudioWay
from ai_worker.providers.attempts import Counts
from ai_worker.providers.suite import Suite
from ai_worker.reader import MediaReader
from ai_worker.vad import VadService
from callbus import keys, media
from callbus.broker import Broker
from callbus.errors import BadMessage
from callbus.pcm import FRAME_MS, frame_bytes
from support.call_tasks import call_of
from support.scripted_chain import Scripted, ScriptedChat, ScriptedVoice, llm_chain, stt_chain, tts_chain
from support.waiting import until


async def send(broker: Broker, call_id: str, fields: dict[bytes, bytes]) -> None:
    await broker.append(keys.media_in(call_id), fields, maxlen=100)
    await broker.execute("EXPIRE", keys.media_in(call_id), 60)


def audio(number: int, size: int) -> dict[bytes, bytes]:
    return media.encode(media.Audio(time.time(), number * FRAME_MS, bytes(size)))


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        (media.encode(media.Operator(1.0, "say", "Hello \ud83d.")), UnicodeEncodeError),
        ({b"k": b"dtmf", b"j": b'{"at": 1.0, "digit": 5}'}, TypeError),
        (audio(0, 321), BadMessage),
    ],
    ids=["half a character", "a type that was not to be", "half a sample"],
)
async def test_a_fault_in_one_call_ends_that_call_alone(
    broker: Broker, fields: dict[bytes, bytes], fault: type[Exception]
) -> None:
    vad = VadService()
    reader = MediaReader(broker, vad, AudioWay())
    async with httpx.AsyncClient() as http:
        chains = stt_chain(Scripted("stt")), llm_chain(ScriptedChat("chat")), tts_chain(ScriptedVoice("voice"))
        calls = [call_of(broker, Suite(*chains, Counts()), http, call_id) for call_id in ("bad", "good")]
        bad, good = (asyncio.create_task(call.run()) for call in calls)
        reading = asyncio.create_task(reader.run())
        for call in calls:
            reader.add(call, b"0-0")
        await send(broker, "bad", fields)
        # Both calls' entries may come in one reading: the good one's audio is judged all the same.
        for number in range(10):
            await send(broker, "good", audio(number, frame_bytes(8000)))
        with pytest.raises(ExceptionGroup) as failure:
            await asyncio.wait_for(bad, 10)
        assert failure.group_contains(fault)
        await until(lambda: calls[1].hearing.position_ms == 10 * FRAME_MS, what="the good call's audio")
        assert calls[1].hearing.vad.position_ms >= 9 * FRAME_MS
        await send(broker, "good", media.encode(media.MediaEnded(time.time(), "the caller hung up")))
        finish = await asyncio.wait_for(good, 10)
        assert finish.outcome == "caller_left"
        assert not reading.done()
        reading.cancel()
        await asyncio.wait([reading])
    await vad.aclose()


async def test_a_fault_that_a_timer_meets_ends_its_call(broker: Broker) -> None:
    chains = stt_chain(Scripted("stt")), llm_chain(ScriptedChat("chat")), tts_chain(ScriptedVoice("voice"))
    async with httpx.AsyncClient() as http:
        call = call_of(broker, Suite(*chains, Counts()), http)
        asyncio.get_running_loop().call_later(0.01, cast(Any, call.tell), "no event at all")
        with pytest.raises(ExceptionGroup) as failure:
            await asyncio.wait_for(call.run(), 10)
    assert failure.group_contains(KeyError)
