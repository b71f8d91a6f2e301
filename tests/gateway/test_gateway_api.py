"""What the real process shows of itself and its calls: health, metrics, status, calls and logs."""

from __future__ import annotations

import json
from typing import Any

import httpx

from callbus import calls, keys, registry, transcript
from callbus.broker import Broker
from support.gateway_process import ENDPOINT, Gateway, eventually
from support.gateway_signing import KEY
from support.gateway_webhooks import ADMIN, API_KEY, AT, AUTHORIZED, PATH_SECRET, counted, envelope, post


async def test_alive_ready_and_unknown_paths(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).json() == {"status": "alive"}
    assert (await client.get("/ready")).json() == {"status": "ready"}
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", ENDPOINT, 405),
        ("GET", "/api/v1/calls?limit=0", 400),
    ):
        answer = await client.request(method, path, headers=AUTHORIZED)
        assert (answer.status_code, set(answer.json())) == (status, {"error", "hint"})
    assert ENDPOINT in (await client.get("/openapi.json")).json()["paths"]
    # Their pages run a third party's scripts.
    assert [(await client.get(path)).status_code for path in ("/docs", "/redoc")] == [404, 404]


async def test_metrics_count_every_outcome(client: httpx.AsyncClient) -> None:
    samples = [
        'ringover_gateway_webhooks_total{outcome="accepted"}',
        'ringover_gateway_webhooks_total{outcome="duplicate"}',
        'ringover_gateway_webhooks_total{outcome="unauthorized"}',
        'ringover_gateway_webhooks_total{outcome="bad_request"}',
        'ringover_gateway_events_total{event="ringing",resource="call"}',
        'ringover_gateway_events_total{event="other",resource="other"}',
        'ringover_gateway_verified_total{scheme="hmac"}',
        "ringover_gateway_webhook_seconds_count",
    ]
    before = [await counted(client, sample) for sample in samples]
    for body in (envelope("ringing"), envelope("ringing"), b"{", envelope("evil-1"), envelope("evil-2")):
        await post(client, body)
    await post(client, envelope("ringing"), {})
    after = [await counted(client, sample) for sample in samples]
    assert [b - a for a, b in zip(before, after, strict=True)] == [3, 1, 1, 1, 1, 2, 5, 6]
    assert "evil" not in (await client.get("/metrics")).text


async def test_the_status_shows_the_whole_and_no_secrets(client: httpx.AsyncClient, broker: Broker) -> None:
    async def status() -> dict[str, Any]:
        answer: dict[str, Any] = (await client.get("/api/v1/status")).json()
        return answer

    async def empty() -> bool:
        seen = await status()
        return bool(seen["status"] == "degraded" and seen["active_calls"] == 0)

    await eventually(empty)
    assert len((await status())["problems"]) == 2
    await post(client, envelope("ringing"))
    await post(client, envelope("ringing", "c2"))
    await post(client, envelope("hangup", "c2"))
    providers = {"stt": "local", "llm": "local", "tts": "local"}
    await registry.beat(broker, "streamer", "s1", {"sessions": 3, "capacity": 400, "caller": "33612345678"})
    await registry.beat(
        broker, "worker", "w1", {"calls": 3, "capacity": 8, "providers": providers, "draining": False, "key": "sk-1"}
    )

    async def ok() -> bool:
        seen = await status()
        return bool(seen["status"] == "ok" and "gateway" in seen["running"])

    await eventually(ok)
    shown = await status()
    assert shown["active_calls"] == 1
    [streamer], [worker] = shown["streamers"], shown["workers"]
    assert (streamer.pop("id"), streamer.pop("at") > 0, streamer) == ("s1", True, {"sessions": 3, "capacity": 400})
    assert (worker["calls"], worker["capacity"], worker["providers"], worker["draining"]) == (3, 8, providers, False)
    assert shown["redis"]["reachable"] is True
    assert shown["providers"] == {"ringover": True, "openai": False, "elevenlabs": False}
    text = json.dumps(shown)
    assert [s for s in (KEY, ADMIN, PATH_SECRET, API_KEY, "33612345678", "33184800000", "sk-1") if s in text] == []


async def test_calls_are_for_the_admin(client: httpx.AsyncClient) -> None:
    for path in ("/api/v1/calls", "/api/v1/calls/c1"):
        for given in ({}, {"authorization": "Bearer wrong"}, {"authorization": ADMIN}, {"authorization": "Basic eDp5"}):
            answer = await client.get(path, headers=given)
            assert (answer.status_code, set(answer.json())) == (401, {"error", "hint"})
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_calls_are_listed_by_state(client: httpx.AsyncClient, broker: Broker) -> None:
    for call_id, events in {"a": ("ringing",), "b": ("ringing", "answered"), "c": ("ringing", "hangup")}.items():
        for event in events:
            await post(client, envelope(event, call_id))
    # A call that the webhooks never announced, and one whose conversation is over before Ringover says so.
    await calls.update(broker, "b", conversation="finished")

    async def ids(query: str) -> list[str]:
        answer = await client.get(f"/api/v1/calls{query}", headers=AUTHORIZED)
        assert answer.status_code == 200
        return [call["call_id"] for call in answer.json()["calls"]]

    assert sorted(await ids("")) == ["a", "b", "c"]
    assert await ids("?state=ringing") == ["a"]
    assert await ids("?state=answered") == ["b"]
    assert await ids("?state=ended") == ["c"]
    assert await ids("?state=active") == ["a"]
    assert len(await ids("?limit=2")) == 2
    await broker.execute("DEL", keys.call("a"))
    assert sorted(await ids("")) == ["b", "c"]


async def test_a_call_is_shown_with_its_transcript(client: httpx.AsyncClient, broker: Broker) -> None:
    await post(client, envelope("answered", user={"firstname": "Zoé"}, ivr_data={"ivr_name": "bot"}))
    await calls.update(broker, "c1", epoch=2, sample_rate=8000, agent="demo")
    stream = keys.transcript("c1")
    for entry in (transcript.Claimed(1.5, "w1", 2, "demo"), transcript.BotSays(2.0, "s1", "Hello, Zoé.")):
        await broker.append(stream, transcript.encode(entry), maxlen=keys.TRANSCRIPT_MAXLEN)
    await broker.append(stream, {b"k": b"strange", b"j": b"{}"}, maxlen=keys.TRANSCRIPT_MAXLEN)
    await broker.execute("EXPIRE", stream, 60)
    call = (await client.get("/api/v1/calls/c1", headers=AUTHORIZED)).json()
    assert (call["state"], call["answered_at"], call["epoch"], call["sample_rate"]) == (
        "answered",
        AT,
        2,
        8000,
    )
    assert (call["user"], call["ivr"]) == ({"firstname": "Zoé"}, {"ivr_name": "bot"})
    claimed, says, strange = call["transcript"]
    assert (claimed["kind"], claimed["worker"], claimed["epoch"]) == ("claimed", "w1", 2)
    assert (says["kind"], says["text"], says["at"]) == ("bot", "Hello, Zoé.", 2.0)
    assert (strange["kind"], "unreadable" in strange) == ("strange", True)
    later = (await client.get(f"/api/v1/calls/c1?after={says['id']}", headers=AUTHORIZED)).json()
    assert (later["state"], later["transcript"]) == ("answered", [strange])
    for wrong in ("1", "1-", "+", "1-1)", "9" * 19 + "-0"):
        assert (await client.get("/api/v1/calls/c1", params={"after": wrong}, headers=AUTHORIZED)).status_code == 400
    for path, status in (("/api/v1/calls/unknown", 404), ("/api/v1/calls/%7Bc1%7D", 400)):
        answer = await client.get(path, headers=AUTHORIZED)
        assert (answer.status_code, set(answer.json())) == (status, {"error", "hint"})


async def test_logs_carry_the_call_and_neither_numbers_nor_secrets(client: httpx.AsyncClient, running: Gateway) -> None:
    await post(client, envelope("ringing", "logged-1"))
    await post(client, envelope("ringing", "logged-2"), {}, f"{ENDPOINT}/{PATH_SECRET}")
    line = next(line for line in running.logged() if line.get("call_id") == "logged-1")
    assert (line["service"], line["kind"], line["from_number"]) == ("webhook-gateway", "call.ringing", "3361*****78")
    text = running.stderr.read_text()
    assert [s for s in (KEY, ADMIN, PATH_SECRET, API_KEY, "33612345678", "33184800000") if s in text] == []
