"""The telephone in the browser, and what the system's page says, of a real gateway."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import unquote_plus

import httpx
import pytest

from callbus import calls, keys, registry
from callbus.broker import Broker
from streamer.gate import Admission, Gate, Refusal
from streamer.settings import StreamerSettings
from support.console import API, ask, look
from support.gateway_webhooks import envelope, post, published
from support.waiting import until
from webhook_gateway.answers import Refusal as Refused
from webhook_gateway.console import agents
from webhook_gateway.webhook_log import WebhookLog

AGENTS = [
    {"name": "library", "numbers": ["33184800000", "33184800001"], "language": "en", "default": False},
    {"name": "shop", "numbers": ["331849*"], "language": "fr-FR", "default": False},
    {"name": "anyone", "numbers": [], "language": "en", "default": True},
]


async def a_worker(broker: Broker, worker: str = "w1", **info: Any) -> None:
    providers = {"stt": "elevenlabs", "llm": "local", "tts": "local"}
    await registry.beat(broker, "worker", worker, {"agents": AGENTS, "providers": providers, "draining": False, **info})


async def test_the_agents_of_all_workers_are_listed_once(client: httpx.AsyncClient, broker: Broker) -> None:
    assert await look(client, "/agents") == {"agents": []}
    await a_worker(broker)
    await a_worker(broker, "w2", agents=[*AGENTS, {"name": "new", "numbers": ["1"], "language": "de"}])
    await a_worker(broker, "old", agents="none that could be read")
    listed = (await look(client, "/agents"))["agents"]
    assert [agent["name"] for agent in listed] == ["anyone", "library", "new", "shop"]
    assert (listed[1]["numbers"], listed[1]["language"]) == (["33184800000", "33184800001"], "en")


def test_each_agent_is_called_by_a_number_of_its_own() -> None:
    assert [agents.number_of(AGENTS, name) for name in ("library", "shop", "anyone")] == ["33184800000", "3318490", "0"]
    sales = {"name": "sales", "numbers": ["331848*"], "language": "en", "default": False}
    support = {"name": "support", "numbers": ["3318480*", "33184811"], "language": "en", "default": False}
    noughts = {"name": "noughts", "numbers": ["0*"], "language": "en", "default": False}
    crowded = [*AGENTS, sales, support, noughts]
    found = {name: agents.number_of(crowded, name) for name in ("sales", "support", "noughts", "anyone")}
    assert found == {"sales": "3318481", "support": "33184811", "noughts": "00", "anyone": "1"}
    greedy = [{**sales, "name": f"d{digit}", "numbers": [f"331848{digit}*"]} for digit in range(10)]
    with pytest.raises(Refused, match="other agents have all"):
        agents.number_of([sales, *greedy], "sales")
    with pytest.raises(Refused, match="no running worker"):
        agents.number_of(AGENTS, "nobody")
    with pytest.raises(Refused, match="answers no number"):
        agents.number_of([{"name": "mute", "numbers": [], "default": False}], "mute")


async def test_a_call_from_the_browser_is_one_that_was_answered(client: httpx.AsyncClient, broker: Broker) -> None:
    await a_worker(broker)
    answer = await ask(client, "/softphone", {"agent": "library", "sample_rate": 16000})
    assert answer.status_code == 201
    begun = answer.json()
    call_id = begun["call_id"]
    assert admitted(begun["url"]) == Admission(call_id, 16000, 1)
    call = await calls.get(broker, call_id)
    assert (call["state"], call["from_number"], call["to_number"]) == ("answered", "browser", "33184800000")
    assert float(call["answered_at"]) >= float(call["ringing_at"]) > 1e9
    assert (await ask(client, f"/softphone/{call_id}/end")).status_code == 200
    assert (await ask(client, f"/softphone/{call_id}/end")).status_code == 200
    assert (await calls.get(broker, call_id))["state"] == "ended"
    told = [(event.resource, event.event, event.source) for event in await published(broker)]
    assert told == [("call", name, "console") for name in ("ringing", "answered", "hangup")]


STREAMER_TOKEN = "let me/in"


def admitted(url: str) -> Admission | Refusal:
    """What the streamer says to the browser that was given this address. The streamer's token is not in it."""
    before, _, target = url.partition("/ws/")
    assert before == "ws://127.0.0.1:8765"
    assert STREAMER_TOKEN not in unquote_plus(url)
    gate = Gate(StreamerSettings.model_validate({"streamer_token": STREAMER_TOKEN}))
    return gate.judge(f"/ws/{target}", None, now=time.time())


async def test_a_browsers_call_gets_a_new_pass_while_it_goes_on(client: httpx.AsyncClient, broker: Broker) -> None:
    await a_worker(broker)
    call_id = (await ask(client, "/softphone", {"agent": "library", "sample_rate": 8000})).json()["call_id"]
    answer = await ask(client, f"/softphone/{call_id}/pass", {"sample_rate": 16000})
    assert answer.status_code == 201
    assert admitted(answer.json()["url"]) == Admission(call_id, 16000, 1)
    assert (await client.post(f"{API}/softphone/{call_id}/pass", json={})).status_code == 401
    assert (await ask(client, f"/softphone/{call_id}/end")).status_code == 200
    assert (await ask(client, f"/softphone/{call_id}/pass")).status_code == 409
    await post(client, envelope("ringing"))
    for other in ("c1", "browser-00"):
        assert (await ask(client, f"/softphone/{other}/pass")).status_code == 404


async def test_only_calls_from_a_browser_are_ended_so(client: httpx.AsyncClient, broker: Broker) -> None:
    await post(client, envelope("ringing"))
    for call_id in ("c1", "browser-00"):
        assert (await ask(client, f"/softphone/{call_id}/end")).status_code == 404
    assert (await calls.get(broker, "c1"))["state"] == "ringing"
    assert (await ask(client, "/softphone", {"agent": "library"})).status_code == 404
    assert (await ask(client, "/softphone", {"agent": "library", "sample_rate": 44100})).status_code == 400


async def checklist(client: httpx.AsyncClient) -> dict[str, bool]:
    items = (await look(client, "/system"))["checklist"]
    assert all(item["ok"] or item["hint"] for item in items)
    return {item["item"]: item["ok"] for item in items}


async def test_the_checklist_says_what_is_missing(
    client: httpx.AsyncClient, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await checklist(client)
    assert {item for item, ok in before.items() if ok} == {
        "Redis reachable",
        "Webhook secret set",
        "Provider keys set (if any are needed)",
    }
    await post(client, envelope("ringing"))
    await a_worker(broker)
    await registry.beat(broker, "streamer", "s1", {"sessions": 0})
    connected = calls.LifecycleEvent("media", "connected", "browser-1", 1.0, source="streamer")
    await calls.publish(broker, connected)
    assert not (await checklist(client))["Media connected once"]
    await calls.publish(broker, calls.LifecycleEvent("media", "connected", "c1", 1.0, source="streamer"))
    # The status is looked at once a second.
    while not (now := await checklist(client))["Worker running"]:
        pass
    assert {item for item, ok in now.items() if not ok} == {
        "ElevenLabs key set",
        "Public URL set",
        "Fallback set",
    }


async def fallback(client: httpx.AsyncClient) -> tuple[bool, str]:
    """Whether the checklist says that there is one, and what to do."""
    items = (await look(client, "/system"))["checklist"]
    return next((item["ok"], item["hint"]) for item in items if item["item"] == "Fallback set")


async def test_every_streamer_must_know_a_fallback(client: httpx.AsyncClient, broker: Broker) -> None:
    assert not (await fallback(client))[0]
    await registry.beat(broker, "streamer", "s1", {"sessions": 0, "fallback": True})
    assert await fallback(client) == (True, "")
    await registry.beat(broker, "streamer", "s2", {"sessions": 0, "fallback": False})
    ok, hint = await fallback(client)
    assert not ok
    assert "s2" in hint
    assert "s1" not in hint


async def test_webhooks_that_were_refused_are_remembered_with_the_reason(
    client: httpx.AsyncClient, broker: Broker
) -> None:
    before = (await look(client, "/system"))["webhooks"]
    await post(client, envelope("ringing"))
    await post(client, envelope("ringing"), {})
    for _ in range(25):
        await post(client, b"{")
    webhooks = (await look(client, "/system"))["webhooks"]
    assert webhooks["received"] - before["received"] == 27
    assert webhooks["refused_total"] - before["refused_total"] == 26
    assert webhooks["since"] > 1e9
    newest, other = webhooks["refused"][:2]
    assert "JSON" in newest["reason"]
    assert newest["times"] >= 25
    assert "sign" in other["reason"]
    assert newest["at"] >= other["at"] > 1e9
    # Another gateway, or this one after a restart, tells the same.
    another = WebhookLog(broker)

    async def written() -> bool:
        return bool((await another.show())["received"] == webhooks["received"])

    await until(written, what="the count in Redis")


async def test_the_status_on_the_systems_page_is_the_public_one(client: httpx.AsyncClient) -> None:
    status = (await look(client, "/system"))["status"]
    assert {"status", "problems", "redis", "streamers", "workers", "gateway"} <= set(status)
    assert keys.EVENTS not in status
