"""The live view of a real gateway: what a browser is told while calls come, talk and go."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from callbus import calls, claims, keys, media, transcript
from callbus.broker import Broker
from support.console import API, ask, connected, live, write
from support.gateway_process import gateway
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN, AT, AUTHORIZED, envelope, post
from webhook_gateway.console.live import MOST_WAITING, Live

SAID = transcript.CallerSaid(12.0, 10.0, 1, "Are you open – today?", "5-0")
TIMED = transcript.TurnTimed(13.0, 1, {"stt_final": 300.0}, 812.5)


async def test_a_call_from_its_ringing_to_its_end(client: httpx.AsyncClient, broker: Broker) -> None:
    async with live(client) as events:
        assert events.answer.headers["content-type"].startswith("text/event-stream")
        assert await events.next() == ("snapshot", {"calls": []})
        await post(client, envelope("ringing"))
        ringing = await events.next("call")
        assert (ringing["call_id"], ringing["state"], ringing["worker"]) == ("c1", "ringing", None)
        assert (ringing["from_number"], ringing["to_number"]) == ("33612345678", "33184800000")
        lease = await connected(client, broker)
        listening = await events.until_state("listening")
        assert (listening["worker"], listening["streamer"], listening["muted"]) == ("w1", "s1", False)
        assert listening["since"] == AT
        await calls.update(broker, "c1", doing="thinking", muted=True, agent="library")
        thinking = await events.until_state("thinking")
        assert (thinking["muted"], thinking["agent"]) == (True, "library")
        await write(broker, "c1", SAID, TIMED)
        said = await events.next("entry")
        assert (said["call_id"], said["entry"]["kind"], said["entry"]["text"]) == ("c1", "caller", SAID.text)
        counted = await events.next("call")
        assert (counted["turns"], counted["last_ms"]) == (1, 812.5)
        worker = claims.Claims(broker, "w1")
        await write(broker, "c1", transcript.Finished(20.0, "completed", "bye"))
        await worker.finish(lease, outcome="completed")
        assert (await events.next("entry"))["entry"]["outcome"] == "completed"
        assert (await events.next("call"))["state"] == "ended"
        assert await events.next("gone") == {"call_id": "c1"}


async def test_a_browser_that_comes_later_sees_what_is_there(client: httpx.AsyncClient, broker: Broker) -> None:
    await connected(client, broker)
    await write(broker, "c1", SAID, TIMED)
    await post(client, envelope("ringing", "c2"))
    await post(client, envelope("hangup", "c2"))
    async with live(client) as first, live(client) as second:
        for events in (first, second):
            [call] = (await events.next("snapshot"))["calls"]
            assert (call["call_id"], call["turns"], call["last_ms"]) == ("c1", 1, 812.5)
        await write(broker, "c1", transcript.Noted(14.0, "a note"))
        for events in (first, second):
            assert (await events.next())[1]["entry"]["note"] == "a note"


async def test_one_call_begins_with_all_that_was_said_and_each_entry_comes_once(
    client: httpx.AsyncClient, broker: Broker
) -> None:
    await connected(client, broker)
    await connected(client, broker, "c2")
    async with live(client), live(client, "c1") as events:
        await write(broker, "c1", *(transcript.Noted(float(number), str(number)) for number in range(50)))
        await write(broker, "c2", transcript.Noted(1.0, "of another call"))
        async with live(client, "c1") as later:
            for stream in (events, later):
                [call] = (await stream.next("snapshot"))["calls"]
                assert call["call_id"] == "c1"
                notes = [(await stream.next("entry"))["entry"]["note"] for _ in range(50)]
                assert notes == [str(number) for number in range(50)]
        await write(broker, "c1", transcript.Noted(60.0, "the last"))
        assert (await events.next("entry"))["entry"]["note"] == "the last"


async def test_the_entries_of_a_call_that_is_over_are_there_too(client: httpx.AsyncClient, broker: Broker) -> None:
    await write(broker, "c1", SAID)
    await calls.update(broker, "c1", state="ended")
    async with live(client, "c1") as events:
        assert (await events.next("snapshot"))["calls"][0]["state"] == "ended"
        assert (await events.next("entry"))["entry"]["text"] == SAID.text
    async with live(client, "nobody") as events:
        assert await events.next("snapshot") == {"calls": []}
    assert (await client.get(f"{API}/live?call_id=%20", headers=AUTHORIZED)).status_code == 400


async def test_a_gateway_that_stops_lets_its_browsers_go(broker: Broker, redis_url: str, tmp_path: Path) -> None:
    with gateway(tmp_path, REDIS_URL=redis_url, RINGOVER_WEBHOOK_SECRET=KEY, ADMIN_TOKEN=ADMIN) as process:
        async with httpx.AsyncClient(base_url=process.url, timeout=20) as client, live(client) as events:
            await events.next("snapshot")
            began = time.monotonic()
            process.process.terminate()
            with pytest.raises(AssertionError, match="has ended"):
                await events.next("call")
            assert await asyncio.to_thread(process.process.wait, 5) == 0
            assert time.monotonic() - began < 3.0


async def test_a_slow_browser_is_cut_off_and_the_others_are_not(broker: Broker) -> None:
    hub = Live(broker)
    running = asyncio.create_task(hub.run())
    slow, quick = hub.events(None), hub.events(None)
    async with asyncio.timeout(20):
        for stream in (slow, quick):
            await anext(stream)
            assert (await anext(stream)).startswith(b"event: snapshot")
        await calls.update(broker, "c1", state="answered", media="connected")
        await calls.publish(broker, calls.LifecycleEvent("media", "connected", "c1", 1.0))
        assert b"event: call" in await anext(quick)
        note = transcript.encode(transcript.Noted(1.0, "x"))
        pipeline = [("XADD", keys.transcript("c1"), "*", *(part for pair in note.items() for part in pair))]
        await broker.pipeline([*pipeline * (MOST_WAITING + 10), ("EXPIRE", keys.transcript("c1"), 60)])
        for _ in range(MOST_WAITING + 10):
            assert b"event: entry" in await anext(quick)
        assert len([text async for text in slow]) < MOST_WAITING
        hub.close()
        assert [text async for text in quick] == []
    running.cancel()
    await asyncio.wait([running])


async def test_what_an_operator_wants_is_put_onto_the_calls_stream(client: httpx.AsyncClient, broker: Broker) -> None:
    await connected(client, broker)
    wishes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("say", {"text": " One\n moment … "}),
        ("transfer", {"number": "+33 1 84.80-00 00"}),
        ("mute", {"on": True}),
        ("mute", {"on": False}),
        ("hang-up", {}),
    )
    for path, body in wishes:
        answer = await ask(client, f"/calls/c1/{path}", body)
        assert (answer.status_code, answer.json()) == (202, {"asked": True})
    entries = [media.decode(fields) for _, fields in await broker.range(keys.media_in("c1"))]
    asked = [(event.wish, event.argument) for event in entries if isinstance(event, media.Operator)]
    assert asked == [
        ("say", "One moment …"),
        ("transfer", "33184800000"),
        ("mute", ""),
        ("unmute", ""),
        ("hang_up", ""),
    ]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("say", {}),
        ("say", {"text": " \n "}),
        ("say", {"text": "x" * 1001}),
        ("say", {"text": "x", "more": 1}),
        ("transfer", {"number": "the boss"}),
        ("transfer", {"number": "+33 (0)1 84 80 00 00"}),
        ("transfer", {"number": "+0184800000"}),
        ("transfer", {"number": "1"}),
        ("transfer", {"number": 33184800000}),
        ("mute", {"on": "yes"}),
    ],
)
async def test_what_cannot_be_done_is_refused(
    client: httpx.AsyncClient, broker: Broker, path: str, body: dict[str, object]
) -> None:
    await connected(client, broker)
    answer = await ask(client, f"/calls/c1/{path}", body)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "hint"}
    assert len(await broker.range(keys.media_in("c1"))) == 1


async def test_nothing_is_asked_of_a_call_that_is_not_there(client: httpx.AsyncClient, broker: Broker) -> None:
    assert (await ask(client, "/calls/c1/hang-up")).status_code == 404
    await post(client, envelope("ringing"))
    assert (await ask(client, "/calls/c1/hang-up")).status_code == 409
    assert await broker.range(keys.media_in("c1")) == []
    await connected(client, broker)
    assert (await ask(client, "/calls/c1/hang-up")).status_code == 202
    await post(client, envelope("hangup"))
    assert (await ask(client, "/calls/c1/hang-up")).status_code == 409
