"""A running system with calls on it that go on until they are told to stop, for faults to be done to it."""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from bench.world import Lines
from callbus import keys, transcript
from callbus.broker import connect
from devstack.stack import LocalStack
from faults import talk
from faults.call import LINES, FleetCall
from faults.judge import Judged, judge
from faults.line_ear import RATE, understood
from ringover_sim.caller import place_call
from ringover_sim.report import CallReport
from ringover_sim.script import CallerVoice, CallScript, Media, Say
from ringover_sim.speech import LocalVoice
from support.fake_providers import FakeElevenLabs, FakeOpenAI, one_each
from support.tools_api import Asked, ToolApi, reply, tool_api
from support.waiting import until

NOISE_DB = 35.0
TOOL_S = 1.0
APART_S = 0.137
"""Callers don't begin in step."""


class Fleet:
    """The system, its providers, its tools' API, and the calls. Use `fleet`."""

    def __init__(self, stack: LocalStack, api: ToolApi, speech: talk.Talk, voice: Lines, work: Path) -> None:
        self.stack, self.api, self.talk, self.work = stack, api, speech, work
        self.book = talk.codebook()
        self.calls: list[FleetCall] = []
        self.tools_running: set[str] = set()
        self.tools_used: Counter[str] = Counter()
        """How often the tool was used, by the name of the question."""
        self.unheard = 0
        """Stretches of audio in which the speech-to-text found no question."""
        self._salt = secrets.token_hex(3)
        self._voice = voice

    def place(self, count: int, *, media: Media | None = None, apart_s: float = APART_S) -> list[FleetCall]:
        """So many more calls, one after the other."""
        placed = []
        for index in range(count):
            number = len(self.calls)
            call = FleetCall(number, f"fleet-{number}-{self._salt}", self.talk, self.book, self.tools_running)
            call.task = asyncio.create_task(self._place(call, media or Media(), index * apart_s))
            self.calls.append(call)
            placed.append(call)
        return placed

    async def greeted(self, timeout: float = 60.0) -> None:
        """Until every call has been greeted."""
        await self.until_all(lambda call: call.greeted, timeout=timeout, what="greeted")

    async def talking(self, timeout: float = 60.0) -> None:
        """Until every call has had an answer."""
        await self.until_all(lambda call: call.answered > 0, timeout=timeout, what="answered once")

    async def answered(self, more: int, timeout: float = 120.0) -> None:
        """Until every call that lives has had `more` further answers (or has waited for them in vain)."""
        goal = {call: call.waited_for + more for call in self.calls}
        await self.until_all(
            lambda call: call.waited_for >= goal[call],
            timeout=timeout,
            what=f"answered {more} times more",
        )

    async def until_all(self, condition: Callable[[FleetCall], bool], *, timeout: float, what: str) -> None:
        """Until a condition holds for every call that has not ended. Raises AssertionError."""
        try:
            await until(lambda: all(call.over or condition(call) for call in self.calls), timeout=timeout, every=0.05)
        except AssertionError as error:
            missing = [f"{call.call_id} ({call.state})" for call in self.calls if not call.over and not condition(call)]
            raise AssertionError(f"not within {timeout:.0f} s: {what}: {', '.join(missing)}") from error

    async def hang_up(self, timeout: float = 90.0) -> list[Judged]:
        """Let every caller hang up after the answer he waits for; what is to be said of each call."""
        for call in self.calls:
            call.stop.set()
        async with asyncio.timeout(timeout):
            reports = await asyncio.gather(*(call.task for call in self.calls))
        judged = []
        for call, report in zip(self.calls, reports, strict=True):
            entries = await self.entries(call.call_id)
            judged.append(
                await asyncio.to_thread(
                    judge, self.book, call.questions, report, entries, call.unanswered, call.asked_again
                )
            )
            await asyncio.to_thread(judged[-1].save, self.work / "calls")
        return judged

    async def holders(self, *calls: FleetCall) -> dict[FleetCall, str | None]:
        """The name of the worker process of these calls, or of every call that has not ended."""
        asked = list(calls) or [call for call in self.calls if not call.over]
        async with connect(self.stack.redis_url) as broker:
            rows = await broker.burst([("HGET", keys.call(call.call_id), "worker") for call in asked])
        workers = [(row or b"").decode() for row in rows]
        return {call: self._process_of(worker) for call, worker in zip(asked, workers, strict=True)}

    def _process_of(self, worker: str) -> str | None:
        # A service's id carries its pid.
        return next((name for name in self.workers if f"-{self.stack.process(name).pid}-" in worker), None)

    async def entries(self, call_id: str) -> list[transcript.Entry]:
        """The call's transcript."""
        async with connect(self.stack.redis_url) as broker:
            return [transcript.decode(fields) for _, fields in await broker.range(keys.transcript(call_id))]

    async def streamer_metric(self, name: str) -> float:
        """A figure of the streamer's, by its name without the prefix."""
        async with httpx.AsyncClient(trust_env=False, timeout=5.0) as client:
            page = (await client.get(f"http://127.0.0.1:{self.stack.streamer_port}/metrics")).text
        return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"streamer_{name} "))

    @property
    def workers(self) -> list[str]:
        """The names of the worker processes."""
        return [name for name in self.stack.names if name.startswith("ai-worker")]

    def hear(self, pcm: bytes, language: str) -> str:
        """The speech-to-text."""
        questions = understood(self.calls, pcm)
        self.talk.understood |= {question.name for question in questions}
        self.unheard += not questions
        return " ".join(question.text for question in questions)

    async def look_up(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        """The tools' API: every request takes TOOL_S."""
        name = json.loads(asked.body)["what"]
        self.tools_used[name] += 1
        self.tools_running.add(name)
        try:
            await asyncio.sleep(TOOL_S)
        finally:
            self.tools_running.discard(name)
        writer.write(reply(json.dumps({"found": name}).encode()))

    async def aclose(self) -> None:
        """End what still runs."""
        for call in self.calls:
            call.task.cancel()
        await asyncio.gather(*(call.task for call in self.calls), return_exceptions=True)

    async def _place(self, call: FleetCall, media: Media, delay: float) -> CallReport:
        await asyncio.sleep(delay)
        script = CallScript(
            name="fleet",
            call_id=call.call_id,
            caller=f"336{call.number:08}",
            ring=0.1,
            longest=3600,
            media=media,
            voice=CallerVoice(snr_db=NOISE_DB, seed=1000 + call.number),
            steps=[Say(text=text) for text in LINES],
        )
        return await place_call(
            script,
            gateway_url=self.stack.gateway_url,
            streamer_url=self.stack.streamer_url,
            secret=self.stack.webhook_secret,
            token=self.stack.streamer_token or None,
            voice=self._voice,
            behaviour=call.behave,
        )


@cache
def _lines() -> Lines:
    voice = LocalVoice()
    return Lines(RATE, {text: voice.speak(text, RATE) for text in LINES})


@asynccontextmanager
async def fleet(
    calls: int = 20,
    *,
    workers: int = 3,
    work: Path | None = None,
    durable_redis: bool = False,
    media: Media | None = None,
    kinds: tuple[talk.Kind, ...] = ("plain", "tool", "plain", "digits"),
    stop_grace: float = 3.0,
    **env: str,
) -> AsyncIterator[Fleet]:
    """A stack against fake providers with `calls` calls on it, which are still ringing when the block begins.

    `env` are further settings of the services; `work` is where the logs stay (else they are gone at the end).
    """
    async with AsyncExitStack() as life:
        folder = work or Path(life.enter_context(tempfile.TemporaryDirectory()))
        voice = await asyncio.to_thread(_lines)
        speech, ready = talk.Talk(kinds), dict[str, Any]()
        api = await life.enter_async_context(tool_api(lambda asked, writer: ready["fleet"].look_up(asked, writer)))
        agents = folder / "agents"
        agents.mkdir(parents=True, exist_ok=True)
        (agents / "fleet.yaml").write_text(talk.agent(api.url), encoding="utf-8")
        (agents / "patient.yaml").write_text(talk.patient_agent(), encoding="utf-8")
        book = talk.codebook()
        openai = FakeOpenAI(answer=speech.answer, first_token_ms=350, per_token_ms=15)
        elevenlabs = FakeElevenLabs(
            speak=book.speak,
            first_byte_ms=75,
            hear=lambda pcm, language: ready["fleet"].hear(pcm, language),
            transcription_ms=280,
        )
        # What would be told of a half-spoken question is told at its end only: it has one word that counts.
        elevenlabs.scribe.lag = None
        await life.enter_async_context(openai)
        await life.enter_async_context(elevenlabs)
        settings = {
            **one_each(openai, elevenlabs),
            "AGENTS_DIR": str(agents),
            "LOG_FORMAT": "json",
        }
        stack = LocalStack(
            folder / "stack",
            workers=workers,
            env=settings | env,
            durable_redis=durable_redis,
            stop_grace=stop_grace,
        )
        await life.enter_async_context(stack)
        running = ready["fleet"] = Fleet(stack, api, speech, voice, folder)
        life.push_async_callback(running.aclose)
        running.place(calls, media=media)
        yield running
