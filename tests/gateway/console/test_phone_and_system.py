"""The telephone in the browser, and what the system's page says, of a real gateway."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from callbus import calls, keys, registry
from callbus.broker import Broker
from support.console import ask, look
from support.gateway_webhooks import envelope, post, published
from webhook_gateway.answers import Refusal
from webhook_gateway.console import agents

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
    with pytest.raises(Refusal, match="no running worker"):
        agents.number_of(AGENTS, "nobody")
    with pytest.raises(Refusal, match="answers no number"):
        agents.number_of([{"name": "mute", "numbers": [], "default": False}], "mute")


async def test_a_call_from_the_browser_is_one_that_was_answered(client: httpx.AsyncClient, broker: Broker) -> None:
    await a_worker(broker)
    answer = await ask(client, "/softphone", {"agent": "library", "sample_rate": 16000})
    assert answer.status_code == 201
    begun = answer.json()
    call_id = begun["call_id"]
    assert begun["url"] == f"ws://127.0.0.1:8765/ws/{call_id}?token=let+me%2Fin&sample_rate=16000"
    call = await calls.get(broker, call_id)
    assert (call["state"], call["from_number"], call["to_number"]) == ("answered", "browser", "33184800000")
    assert float(call["answered_at"]) >= float(call["ringing_at"]) > 1e9
    assert (await ask(client, f"/softphone/{call_id}/end")).status_code == 200
    assert (await ask(client, f"/softphone/{call_id}/end")).status_code == 200
    assert (await calls.get(broker, call_id))["state"] == "ended"
    told = [(event.resource, event.event, event.source) for event in await published(broker)]
    assert told == [("call", name, "console") for name in ("ringing", "answered", "hangup")]


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


async def test_webhooks_that_were_refused_are_remembered_with_the_reason(client: httpx.AsyncClient) -> None:
    before = (await look(client, "/system"))["webhooks"]["received"]
    await post(client, envelope("ringing"))
    await post(client, envelope("ringing"), {})
    for _ in range(25):
        await post(client, b"{")
    webhooks = (await look(client, "/system"))["webhooks"]
    assert webhooks["received"] - before == 27
    assert len(webhooks["refused"]) == 20
    assert all("JSON" in refusal["reason"] and refusal["at"] > 1e9 for refusal in webhooks["refused"])
    await post(client, envelope("ringing"), {})
    assert "sign" in (await look(client, "/system"))["webhooks"]["refused"][0]["reason"]


async def test_the_status_on_the_systems_page_is_the_public_one(client: httpx.AsyncClient) -> None:
    status = (await look(client, "/system"))["status"]
    assert {"status", "problems", "redis", "streamers", "workers", "gateway"} <= set(status)
    assert keys.EVENTS not in status
