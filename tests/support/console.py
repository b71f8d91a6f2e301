"""The console as a browser sees it: its requests, and its stream of events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from callbus import calls, claims, keys, sessions, transcript
from callbus.broker import Broker
from support.gateway_webhooks import AUTHORIZED, envelope, post

API = "/console/api"


class Events:
    """One open stream: `next` gives its events one by one."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def next(self, name: str | None = None) -> Any:
        """The data of the next event, or of the next one of that name. Raises TimeoutError."""
        async with asyncio.timeout(10):
            seen = ""
            async for line in self._lines:
                if line.startswith("event: "):
                    seen = line.removeprefix("event: ")
                elif line.startswith("data: ") and name in (None, seen):
                    data = json.loads(line.removeprefix("data: "))
                    return data if name else (seen, data)
        raise AssertionError("the stream has ended")

    async def until_state(self, state: str) -> Any:
        """The next CALL in that state."""
        while (call := await self.next("call"))["state"] != state:
            pass
        return call


@asynccontextmanager
async def live(client: httpx.AsyncClient, call_id: str = "") -> AsyncIterator[Events]:
    """The live view, open."""
    params = {"call_id": call_id} if call_id else {}
    async with client.stream("GET", f"{API}/live", params=params, headers=AUTHORIZED) as answer:
        assert answer.status_code == 200
        yield Events(answer)


async def ask(client: httpx.AsyncClient, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """POST to the console's API, as the admin."""
    return await client.post(f"{API}{path}", json=body or {}, headers=AUTHORIZED)


async def look(client: httpx.AsyncClient, path: str, **params: str) -> Any:
    """GET from the console's API, as the admin: the answer's JSON."""
    answer = await client.get(f"{API}{path}", params=params, headers=AUTHORIZED)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def connected(client: httpx.AsyncClient, broker: Broker, call_id: str = "c1") -> claims.Lease:
    """A call that Ringover told of, whose media is connected, and which a worker holds."""
    await post(client, envelope("ringing", call_id))
    await post(client, envelope("answered", call_id))
    await sessions.attach(broker, call_id, streamer="s1", session="m1", sample_rate=8000)
    worker = claims.Claims(broker, "w1")
    await worker.prepare()
    [waiting] = await worker.take_new(1, block_ms=1)
    lease = await worker.begin(waiting)
    assert lease
    await calls.publish(broker, calls.LifecycleEvent("conversation", "claimed", call_id, 1.0, source="worker"))
    return lease


async def write(broker: Broker, call_id: str, *entries: transcript.Entry) -> None:
    """Entries of a call's transcript, as its worker writes them."""
    for entry in entries:
        name = keys.transcript(call_id)
        await broker.append(name, transcript.encode(entry), maxlen=keys.TRANSCRIPT_MAXLEN)
        await broker.execute("EXPIRE", name, keys.CALL_TTL_S)
