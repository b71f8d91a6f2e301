"""What a call's requests used is in its transcript before the call is given back, what its end cut off too."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import httpx

from ai_worker.conversation import actions as act
from ai_worker.providers.attempts import Counts
from ai_worker.providers.base import ChatMessage
from ai_worker.providers.suite import Suite
from callbus import keys, media, transcript
from callbus.broker import Broker
from support.call_tasks import call_of
from support.scripted_chain import Scripted, ScriptedChat, ScriptedVoice, llm_chain, stt_chain, tts_chain
from support.waiting import until

FOREVER = 60.0


async def entries(broker: Broker) -> list[transcript.Entry]:
    return [transcript.decode(fields) for _, fields in await broker.range(keys.transcript("c1"))]


def used(found: list[transcript.Entry]) -> Counter[tuple[str, str]]:
    return Counter((entry.seam, entry.unit) for entry in found if isinstance(entry, transcript.Used))


async def test_requests_that_the_calls_end_cuts_off_are_in_its_transcript(broker: Broker) -> None:
    chat = ScriptedChat("chat", ["So", FOREVER])
    voice = ScriptedVoice("voice", ["ok"])
    counts = Counts()
    suite = Suite(stt_chain(Scripted("stt")), llm_chain(chat, counts=counts), tts_chain(voice), counts)
    async with httpx.AsyncClient() as http:
        call = call_of(broker, suite, http)
        running = asyncio.create_task(call.run())
        # The greeting is spoken; then two answers are begun, and one of them is thrown away.
        await until(lambda: bool(voice.asked), what="the greeting")
        for reply in (101, 102):
            call._carry_out(act.Think(reply, (ChatMessage("user", "Hi"),)))
        await until(lambda: len(chat.asked) == 2, what="answers")
        call._carry_out(act.StopThinking(101))
        call.receive(b"9-0", media.MediaEnded(time.time(), "the caller hung up"))
        finish = await asyncio.wait_for(running, 10)
    assert finish.outcome == "caller_left"
    found = await entries(broker)
    assert used(found)["llm", "requests"] == 2
    assert used(found)["tts", "characters"] >= 1
    [chars] = [entry for entry in found if isinstance(entry, transcript.Used) and entry.seam == "tts"][:1]
    assert (chars.turn, chars.provider, chars.told) == (0, "voice", False)
    assert counts.used["llm", "chat", "", "requests", False] == 2


async def test_a_fenced_off_workers_requests_are_not_written(broker: Broker) -> None:
    """Its successor writes the call's transcript from then on."""
    chat = ScriptedChat("chat", [FOREVER])
    voice = ScriptedVoice("voice", ["ok"])
    suite = Suite(stt_chain(Scripted("stt")), llm_chain(chat), tts_chain(voice), Counts())
    async with httpx.AsyncClient() as http:
        call = call_of(broker, suite, http)
        running = asyncio.create_task(call.run())
        await until(lambda: bool(voice.asked), what="the greeting")
        call._carry_out(act.Think(101, (ChatMessage("user", "Hi"),)))
        await until(lambda: bool(chat.asked), what="an answer")
        running.cancel()
        await asyncio.wait([running])
    assert running.cancelled()
    assert ("llm", "requests") not in used(await entries(broker))


async def test_what_is_written_is_in_redis_before_it_is_asked_whose_the_call_is(broker: Broker) -> None:
    """Whoever takes the call knows of every tool that was used."""
    then: list[transcript.Entry] = []

    async def held() -> bool:
        then.extend(await entries(broker))
        return False

    chat, voice = ScriptedChat("chat", [FOREVER]), ScriptedVoice("voice", ["ok"])
    async with httpx.AsyncClient() as http:
        suite = Suite(stt_chain(Scripted("stt")), llm_chain(chat), tts_chain(voice), Counts())
        call = call_of(broker, suite, http, held=held)
        running = asyncio.create_task(call.run())
        await until(lambda: bool(voice.asked), what="the greeting")
        asked = transcript.ToolUsed(1.0, 1, "t1", "look_up", "{}", "asked")
        call._outbox.write(asked)
        assert await call._noted() is False
        running.cancel()
        await asyncio.wait([running])
    assert asked in then
