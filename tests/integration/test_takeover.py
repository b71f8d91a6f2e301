"""A worker is killed in the middle of a conversation; the media connection drops: the same conversation goes on."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import pytest

from callbus import calls, keys, transcript
from callbus.broker import connect
from callbus.claims import Claims, Lease
from devstack.stack import LocalStack
from ringover_sim.report import CallReport
from ringover_sim.script import CallScript, DropConnection, Expectations, HangUp, Pause, Say, WaitForBot
from ringover_sim.speech import Voice
from support.fake_providers import FakeOpenAI
from support.waiting import until
from support.whole_calls import caller_turns, entries_of, heard_text, place, record_of

pytestmark = [pytest.mark.speech, pytest.mark.timeout(150)]

FIRST_ANSWER = (
    "Thank you Alice, I have found your account at the library. "
    "Your card is valid until the end of next year, and you have three books at home. "
    "The first of them is due back on Monday morning."
)
SECOND_ANSWER = "Your name is Alice, as you told me before."


def librarian(messages: list[dict[str, Any]]) -> str:
    return SECOND_ANSWER if "my name" in messages[-1]["content"].lower() and len(messages) > 3 else FIRST_ANSWER


def with_remote_model(server: FakeOpenAI) -> dict[str, str]:
    """Local speech; a language model that the test can look into."""
    return {
        "OPENAI_API_KEY": "sk-local-fake",
        "OPENAI_BASE_URL": server.base_url,
        "STT_PROVIDERS": "local",
        "LLM_PROVIDERS": "openai",
    }


async def holder(stack: LocalStack, call_id: str) -> str:
    """The name of the worker process that holds a call."""
    async with connect(stack.redis_url) as broker:
        worker = (await calls.get(broker, call_id))["worker"]
    return next(name for name in stack.names if f"-{stack.process(name).pid}-" in worker)


async def until_written(
    stack: LocalStack, call_id: str, kind: type[transcript.Entry], placed: asyncio.Task[CallReport]
) -> None:
    """Until the first such entry stands in the call's transcript (`TurnTimed`: the first answer is being heard), while
    the call goes on.
    """

    async def written() -> bool:
        return placed.done() or any(isinstance(entry, kind) for entry in await entries_of(stack, call_id))

    await until(written, timeout=60, every=0.05)
    assert not placed.done(), placed.result().table()


async def test_a_killed_workers_call_goes_on_in_another(tmp_path: Path, voice: Voice) -> None:
    script = CallScript(
        name="takeover",
        call_id="takeover-1",
        steps=[
            WaitForBot(timeout=20),
            Say(text="My name is Alice, and I am calling about my library card."),
            # The silence while another worker takes over is shorter than this one.
            WaitForBot(timeout=40, silence=6.5),
            Say(text="Can you tell me what my name is?"),
            WaitForBot(timeout=30),
            HangUp(),
        ],
        expect=Expectations(ended_by="caller", bot_spoke_at_least=3),
    )
    async with (
        FakeOpenAI(answer=librarian, per_token_ms=80) as server,
        LocalStack(tmp_path, workers=2, env=with_remote_model(server)) as stack,
    ):
        placed = asyncio.create_task(place(stack, script, voice))

        await until_written(stack, "takeover-1", transcript.TurnTimed, placed)
        victim = await holder(stack, "takeover-1")
        await stack.kill(victim)
        report = await placed
        entries = await entries_of(stack, "takeover-1")
        record = await record_of(stack, "takeover-1")
        asked = [request.json["messages"] for request in server.requests if request.path.endswith("/completions")]

    claims = [entry for entry in entries if isinstance(entry, transcript.Claimed)]
    assert [claim.epoch - claims[0].epoch for claim in claims] == [0, 1]
    assert claims[0].worker != claims[1].worker
    # One greeting, and of the answer every word once: what the dead worker left unsaid was said by its successor, and
    # what its model had not written was asked for. (This model begins anew then.)
    heard = heard_text(record)
    assert heard.count("maple street library") == 1
    assert " ".join(heard.split()).count(FIRST_ANSWER.lower()) == 1
    assert any(messages[-1]["role"] == "system" for messages in asked)
    # The successor knew what was said: by the caller, and by the bot as far as it was heard.
    assert [entry.turn for entry in entries if isinstance(entry, transcript.CallerSaid)] == [1, 2]
    last = " ".join(message["content"] for message in asked[-1])
    assert "alice" in last.lower()
    assert "three books at home" in last
    assert SECOND_ANSWER.lower() in heard
    # The caller waited for the successor, but not long.
    assert max(report.gaps_ms, default=0) < 7_000


async def test_a_dropped_media_connection_comes_back_to_the_same_conversation(tmp_path: Path, voice: Voice) -> None:
    script = CallScript(
        name="drop",
        steps=[
            WaitForBot(timeout=20),
            Say(text="Hello, my name is Alice."),
            WaitForBot(timeout=40, silence=1.5),
            DropConnection(reconnect_after=1.0),
            Pause(seconds=1.0),
            Say(text="Can you tell me what my name is?"),
            WaitForBot(timeout=30),
            HangUp(),
        ],
        expect=Expectations(ended_by="caller"),
    )
    async with (
        FakeOpenAI(answer=librarian) as server,
        LocalStack(tmp_path, workers=1, env=with_remote_model(server)) as stack,
    ):
        report = await place(stack, script, voice)
        record = await record_of(stack, report.call_id)
    assert len(report.connections) == 2
    assert len(record["claims"]) == 1
    assert len(caller_turns(record)) == 2
    heard = heard_text(record)
    assert heard.count("maple street library") == 1
    assert SECOND_ANSWER.lower() in heard
    # Both media sessions are in one recording.
    assert len(record["recording"]["parts"]) == 2
    assert record["recording"]["duration_s"] == pytest.approx(report.duration_ms / 1000, abs=1.5)


@pytest.mark.long
async def test_a_deploy_drops_no_call(tmp_path: Path, voice: Voice) -> None:
    """SIGTERM: the running call goes on to its end on the worker that leaves; new ones go to another."""

    def script(call_id: str) -> CallScript:
        return CallScript(
            name=call_id,
            call_id=call_id,
            steps=[
                WaitForBot(timeout=20),
                Say(text="My name is Alice, and I am calling about my library card."),
                WaitForBot(timeout=40, silence=1.5),
                HangUp(),
            ],
            expect=Expectations(ended_by="caller", bot_spoke_at_least=2),
        )

    async with (
        FakeOpenAI(answer=librarian) as server,
        LocalStack(tmp_path, workers=1, env=with_remote_model(server)) as stack,
    ):
        first = asyncio.create_task(place(stack, script("deploy-1"), voice))
        await until_written(stack, "deploy-1", transcript.BotSays, first)
        leaving = await holder(stack, "deploy-1")
        await stack.kill(leaving, signal.SIGTERM)
        await stack.start_worker()
        await place(stack, script("deploy-2"), voice)
        await first
        records = [await record_of(stack, call_id) for call_id in ("deploy-1", "deploy-2")]
        assert await stack.process(leaving).wait(15)
        assert stack.process(leaving).exit_code == 0

    assert [len(record["claims"]) for record in records] == [1, 1]
    workers = [record["claims"][0]["worker"] for record in records]
    assert workers[0] != workers[1]
    assert all(heard_text(record).endswith(FIRST_ANSWER.lower()) for record in records)


async def test_a_worker_takes_up_what_it_was_given_while_redis_was_away(tmp_path: Path, voice: Voice) -> None:
    """Its claim was carried out, but the answer was lost: by the lease nobody else may take the call."""
    script = CallScript(
        name="phantom", call_id="phantom-1", steps=[WaitForBot(timeout=20), Say(text="Who are you?"), Pause(seconds=60)]
    )
    async with (
        FakeOpenAI(answer=librarian) as server,
        LocalStack(tmp_path, workers=1, env=with_remote_model(server)) as stack,
        connect(stack.redis_url) as broker,
    ):
        placed = asyncio.create_task(place(stack, script, voice))

        async def claimed(times: int) -> bool:
            entries = [fields for _, fields in await broker.range(keys.transcript("phantom-1"))]
            return [fields[b"k"] for fields in entries].count(b"claimed") >= times

        await until(lambda: claimed(1), timeout=30)
        state = await calls.get(broker, "phantom-1")

        async def given_to(consumer: str) -> None:
            entry = state["waiting_entry"]
            await broker.burst([("XCLAIM", keys.WAITING, keys.WORKERS_GROUP, consumer, 0, entry, "IDLE", 0, "JUSTID")])

        async def lost() -> bool:
            await given_to("nobody")
            return "the call is no longer this worker's" in (tmp_path / "logs" / "ai-worker-1.log").read_text()

        async def taken_up() -> bool:
            """Before the lease lapses: it is renewed all the while."""
            await given_to(state["worker"])
            return await claimed(2)

        try:
            await until(lost, timeout=10, every=0.1)
            # What a newer version has written must not keep this one from taking the call over.
            await broker.append(keys.transcript("phantom-1"), {b"k": b"from the future", b"j": b"{}"}, maxlen=1000)
            await given_to(state["worker"])
            await broker.burst([("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")])
            await until(taken_up, timeout=10, every=0.1)
        finally:
            placed.cancel()
            await asyncio.gather(placed, return_exceptions=True)


async def test_a_worker_does_not_take_its_own_call_over(tmp_path: Path, voice: Voice) -> None:
    """Its lease lapses, as after a stall, and nobody but itself is there to take the call: it goes on with it, once."""
    script = CallScript(
        name="stall",
        call_id="stall-1",
        steps=[
            WaitForBot(timeout=20),
            Say(text="My name is Alice, and I am calling about my library card."),
            WaitForBot(timeout=40, silence=1.5),
            HangUp(),
        ],
        expect=Expectations(ended_by="caller", bot_spoke_at_least=2),
    )
    async with (
        FakeOpenAI(answer=librarian) as server,
        LocalStack(tmp_path, workers=1, env=with_remote_model(server)) as stack,
        connect(stack.redis_url) as broker,
    ):
        placed = asyncio.create_task(place(stack, script, voice))

        async def scans() -> int:
            stats = await broker.execute("INFO", "commandstats")
            return int(stats["cmdstat_xautoclaim"]["calls"])

        await until_written(stack, "stall-1", transcript.TurnTimed, placed)
        state = await calls.get(broker, "stall-1")
        claims = Claims(broker, state["worker"])
        lease = Lease(state["waiting_entry"], "stall-1", 1, attempt=1)
        before = await scans()

        async def looked_for_abandoned_calls() -> bool:
            """The lease has lapsed whenever the worker looks."""
            await claims.release(lease)
            return await scans() >= before + 4

        await until(looked_for_abandoned_calls, timeout=10, every=0.01)
        await placed
        record = await record_of(stack, "stall-1")

    assert len(record["claims"]) == 1
    assert " ".join(heard_text(record).split()).count(FIRST_ANSWER.lower()) == 1
