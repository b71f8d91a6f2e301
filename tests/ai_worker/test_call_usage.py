"""What a call's requests used is in its transcript before the call is given back, what its end cut off too."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import httpx

from ai_worker.agents import load_agents
from ai_worker.call import CallTask
from ai_worker.casting import persona_of, turn_taking_of
from ai_worker.conversation import actions as act
from ai_worker.conversation.history import History
from ai_worker.metrics import Metrics
from ai_worker.providers.attempts import Counts
from ai_worker.providers.base import ChatMessage
from ai_worker.providers.suite import Suite
from ai_worker.tools import ToolBox
from callbus import keys, media, transcript
from callbus.broker import Broker
from callbus.busclock import BusClock
from callbus.claims import Lease
from support.scripted_chain import Scripted, ScriptedChat, ScriptedVoice, llm_chain, stt_chain, tts_chain
from support.waiting import until

AGENT = load_agents(Path(__file__).parents[2] / "agents").for_number("33184800000").for_call({})
FOREVER = 60.0


async def entries(broker: Broker) -> list[transcript.Entry]:
    return [transcript.decode(fields) for _, fields in await broker.range(keys.transcript("c1"))]


def used(found: list[transcript.Entry]) -> Counter[tuple[str, str]]:
    return Counter((entry.seam, entry.unit) for entry in found if isinstance(entry, transcript.Used))


def call_of(broker: Broker, suite: Suite, http: httpx.AsyncClient) -> CallTask:
    """A call that was just claimed."""
    tools = ToolBox(AGENT, http, {}, session="c1")
    return CallTask(
        Lease("1-0", "c1", 1, takeover=False),
        AGENT,
        persona_of(AGENT, tools, begun=datetime.now(UTC)),
        turn_taking_of(AGENT, guesses=1),
        suite,
        tools,
        broker,
        metrics=Metrics(),
        bus_clock=BusClock(),
        turn_judge=None,
        worker="w1",
        streamer="s1",
        sample_rate=8000,
        history=History(),
        past=b"0-0",
        elapsed=0.0,
    )


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


async def test_who_takes_over_is_noted_once_for_each_answer(broker: Broker) -> None:
    suite = Suite(
        stt_chain(Scripted("stt")), llm_chain(ScriptedChat("chat")), tts_chain(ScriptedVoice("voice")), Counts()
    )
    async with httpx.AsyncClient() as http:
        call = call_of(broker, suite, http)
        running = asyncio.create_task(call.run())
        for turn in (1, 2):
            for _ in range(3):
                call._noted("tts: a is kept out; b took over")
            call._carry_out(act.Write(transcript.Answered(time.time(), turn)))
        call.receive(b"9-0", media.MediaEnded(time.time(), "the caller hung up"))
        await asyncio.wait_for(running, 10)
    notes = [entry.note for entry in await entries(broker) if isinstance(entry, transcript.Noted)]
    assert notes == ["tts: a is kept out; b took over"] * 2
