"""The console over the whole system: a call from the browser's telephone, in which the operator has the say."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from devstack.stack import LocalStack
from support.console import API, Events
from support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.speech, pytest.mark.timeout(120)]

LINE = "This is the operator speaking."


async def talk(line: ClientConnection) -> None:
    """Silence, in real time, as a microphone sends it."""
    while True:
        await line.send(bytes(320))
        await asyncio.sleep(0.02)


async def test_an_operator_speaks_mutes_and_hangs_up(tmp_path: Path) -> None:
    async with (
        LocalStack(tmp_path, env={"STREAMER_TOKEN": "line-token"}) as stack,
        httpx.AsyncClient(base_url=f"{stack.gateway_url}{API}", timeout=20) as client,
    ):
        client.headers["authorization"] = f"Bearer {stack.admin_token}"
        agents = (await client.get("/agents")).json()["agents"]
        name = next(agent["name"] for agent in agents if agent["default"])
        begun = (await client.post("/softphone", json={"agent": name, "sample_rate": 8000})).json()
        call_id = begun["call_id"]
        async with (
            connect(begun["url"]) as line,
            client.stream("GET", "/live", params={"call_id": call_id}) as answer,
            asyncio.timeout(60),
        ):
            microphone = asyncio.create_task(talk(line))
            events = Events(answer)
            speaking = await events.until_state("speaking")
            assert (speaking["agent"], speaking["from_number"]) == (name, "browser")
            await ask(client, call_id, "say", {"text": LINE})
            said = await entry(events, "bot", text=LINE)
            heard = await entry(events, "heard", segment=said["segment"])
            assert heard["heard_text"] == LINE
            await ask(client, call_id, "mute", {"on": True})
            while not (await events.next("call"))["muted"]:
                pass
            await ask(client, call_id, "hang-up", {})
            assert (await entry(events, "finished"))["outcome"] == "bot_ended"
            await line.wait_closed()
            assert (await microphone_ended(microphone)) is True
        await client.post(f"/softphone/{call_id}/end")
        await until((stack.calls_dir / call_id / "call.json").exists, timeout=30, what="the record")
        [past] = (await client.get("/calls", params={"agent": name})).json()["calls"]
        assert (past["call_id"], past["outcome"], past["ended_by"]) == (call_id, "bot_ended", "bot")
        notes = [note["note"] for turn in (await record(client, call_id))["turns"] for note in turn["notes"]]
        assert [note.partition(": ")[2] for note in notes if note.startswith("operator")] == ["say", "mute", "hang_up"]


async def ask(client: httpx.AsyncClient, call_id: str, what: str, body: dict[str, Any]) -> None:
    answer = await client.post(f"/calls/{call_id}/{what}", json=body)
    assert (answer.status_code, answer.json()) == (202, {"asked": True})


async def entry(events: Events, kind: str, **having: str) -> dict[str, Any]:
    """The next entry of the transcript of that kind."""
    while True:
        found: dict[str, Any] = (await events.next("entry"))["entry"]
        if found["kind"] == kind and having.items() <= found.items():
            return found


async def microphone_ended(microphone: asyncio.Task[None]) -> bool:
    await asyncio.wait([microphone], timeout=5)
    return microphone.done() and microphone.exception() is not None


async def record(client: httpx.AsyncClient, call_id: str) -> dict[str, Any]:
    answer = await client.get(f"/calls/{call_id}")
    found: dict[str, Any] = json.loads(answer.text)
    return found
