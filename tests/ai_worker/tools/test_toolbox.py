"""HTTP tools against a real server: answers of every kind become a bounded, honest text; each call is sent once."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ai_worker.agents import Agent
from ai_worker.tools import ToolBox, ToolResult, missing_secrets
from support.tools_api import Answer, Asked, ToolApi, reply, tool_api
from support.waiting import until

PARAMETERS = {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def api() -> AsyncIterator[ToolApi]:
    async with tool_api() as api:
        yield api


def box(http: httpx.AsyncClient, api: ToolApi, env: dict[str, str] | None = None, **more: Any) -> ToolBox:
    tool = {
        "name": "get_order",
        "description": "Look an order up.",
        "url": f"{api.url}/orders/{{order_id}}",
        "parameters": PARAMETERS,
        "timeout_s": 5,
        "filler": "One moment, {user_firstname}.",
        **more,
    }
    written = {"name": "a", "greeting": "Hi.", "instructions": "x", "tools": ["hang_up", tool]}
    call = {"from_number": "33612345678", "user": '{"firstname": "Zoé"}'}
    return ToolBox(Agent.model_validate(written).for_call(call), http, env or {}, session="call-1")


async def ask(box: ToolBox, order_id: str = "7", tool_call_id: str = "t1") -> ToolResult:
    return await box.run("get_order", json.dumps({"order_id": order_id}), tool_call_id=tool_call_id)


async def test_an_answer(http: httpx.AsyncClient, api: ToolApi) -> None:
    api.answer = reply(b'{ "state": "on its way",\n "n": 2 }')
    tools = box(http, api)
    assert await ask(tools) == ToolResult("get_order", "ok", '{"state":"on its way","n":2}', 200)
    [asked] = api.asked
    assert (asked.method, asked.target, asked.body) == ("GET", "/orders/7", b"")
    assert tools.is_http("get_order")
    assert tools.filler("get_order") == "One moment, Zoé."
    assert [spec.name for spec in tools.specs()] == ["hang_up", "get_order"]
    assert api.url not in repr(tools.specs())


async def test_what_is_sent(http: httpx.AsyncClient, api: ToolApi) -> None:
    tools = box(http, api, {"KEY": "s3cret"}, method="POST", secret_env="KEY", body={"by": "{caller_number}"})
    assert (await ask(tools)).ok
    [asked] = api.asked
    assert asked.headers["authorization"] == "Bearer s3cret"
    assert json.loads(asked.body) == {"by": "33612345678"}


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (reply("Çà et là\n\n\x07ok".encode("latin-1"), kind="text/plain; charset=latin-1"), "ok", "Çà et là ok"),
        (reply(b"hi", kind="text/plain; charset=nonsense"), "ok", "hi"),
        (reply(b"", status="204 No Content"), "ok", "nothing to tell"),
        (reply(b'"\\ud800"'), "ok", '""'),
        (reply(b"{broken"), "ok", "{broken"),
        (reply(b'{"error": "no such order"}', status="404 Not Found"), "refused", 'It said: {"error":"no such order"}'),
        (reply(b"\x89PNG", status="403 Forbidden", kind="image/png"), "refused", "(status 403)"),
        (reply(b"Trace: secret stack", status="500 Oops"), "failed", "failed on its side (status 500)."),
        (reply(b"\x89PNG", kind="image/png"), "unreadable", "is no text"),
        (reply(gzip.compress(b"x" * 1000), more="Content-Encoding: gzip\r\n"), "unreadable", "is no text"),
        (reply(b"", status="302 Found", more="Location: https://evil.example/\r\n"), "redirected", "has moved"),
        (reply(b"", status="302 Found", more="Location: //evil.example/\r\n"), "redirected", "has moved"),
        (reply(b"", status="302 Found", more="Location: /orders/8\r\n"), "redirected", "sends every request elsewhere"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "unreachable", "broke"),
        (b"", "unreachable", "broke"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "unreachable", "broke"),
    ],
)
async def test_answers_of_every_kind(
    http: httpx.AsyncClient, api: ToolApi, answer: bytes, kind: str, says: str
) -> None:
    api.answer = answer
    result = await ask(box(http, api))
    assert (result.kind, result.ok) == (kind, kind == "ok")
    assert says in result.text
    result.text.encode()


async def test_a_long_answer_is_cut(http: httpx.AsyncClient, api: ToolApi) -> None:
    api.answer = reply(json.dumps(["word"] * 1000).encode())
    result = await ask(box(http, api, result_limit=200))
    assert len(result.text) == 200
    assert result.text.endswith("… (the answer goes on)")


async def test_an_endless_answer_ends(http: httpx.AsyncClient, api: ToolApi) -> None:
    sent = 0

    async def forever(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")
        while sent < 100_000_000:
            writer.write(b"word " * 10_000)
            sent += 50_000
            await writer.drain()

    api.answer = forever
    result = await ask(box(http, api))
    assert result.ok
    assert len(result.text) == 2000
    assert sent < 20_000_000


async def stall(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(20)


async def drip(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10000\r\n\r\n")
    for _ in range(10_000):
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("answer", [stall, drip])
@pytest.mark.parametrize(("method", "says"), [("GET", "within 0.3 s."), ("POST", "Whether it was done is not known")])
async def test_time_is_bounded(http: httpx.AsyncClient, api: ToolApi, answer: Answer, method: str, says: str) -> None:
    api.answer = answer
    begun = time.monotonic()
    result = await ask(box(http, api, timeout_s=0.3, method=method))
    assert 0.25 < time.monotonic() - begun < 3
    assert result.kind == "timed_out"
    assert says in result.text


async def test_a_server_that_is_away(http: httpx.AsyncClient) -> None:
    async with tool_api() as gone:
        pass
    result = await ask(box(http, gone))
    assert result.kind == "unreachable"
    assert "can't be reached" in result.text


async def test_a_redirect_within_the_server_is_followed(http: httpx.AsyncClient, api: ToolApi) -> None:
    async def once(asked: Asked, writer: asyncio.StreamWriter) -> None:
        moved = reply(b"", status="301 Moved", more="Location: /new?x=1\r\nSet-Cookie: a=1\r\n")
        writer.write(moved if asked.target == "/orders/7" else reply(b'"here"'))

    api.answer = once
    assert (await ask(box(http, api, {"K": "s3cret"}, secret_env="K"))).text == '"here"'
    assert [asked.target for asked in api.asked] == ["/orders/7", "/new?x=1"]
    assert all("cookie" not in asked.headers for asked in api.asked)
    posted = await ask(box(http, api, method="POST"))
    assert posted.kind == "redirected"
    assert len(api.asked) == 3


async def test_a_secret_never_reaches_another_server(http: httpx.AsyncClient, api: ToolApi) -> None:
    async with tool_api() as other:
        api.answer = reply(b"", status="307 Temporary", more=f"Location: {other.url}/steal\r\n")
        result = await ask(box(http, api, {"K": "s3cret"}, secret_env="K"))
    assert result.kind == "redirected"
    assert other.asked == []


async def test_a_secret_that_is_told_back_is_cut_out(http: httpx.AsyncClient, api: ToolApi) -> None:
    for status in ("200 OK", "400 Bad"):
        api.answer = reply(b'{"you sent": "Bearer s3cret"}', status=status)
        result = await ask(box(http, api, {"K": "s3cret"}, secret_env="K"))
        assert "s3cret" not in result.text
        assert "[secret]" in result.text


@pytest.mark.parametrize("env", [{}, {"K": ""}, {"K": "a\r\nb"}])
async def test_without_its_secret_nothing_is_sent(http: httpx.AsyncClient, api: ToolApi, env: dict[str, str]) -> None:
    tools = box(http, api, env, secret_env="K")
    assert (await ask(tools)).kind == "not_configured"
    assert api.asked == []


def test_missing_secrets_are_known_before_a_call() -> None:
    tool = {"name": "look", "description": "d", "url": "https://a.example/", "secret_env": "LOOK_KEY"}
    agent = Agent.model_validate({"name": "a", "greeting": "Hi.", "instructions": "x", "tools": [tool]})
    assert list(missing_secrets([agent], {"LOOK_KEY": "x"})) == []
    assert list(missing_secrets([agent], {})) == ["agent a: the tool look needs LOOK_KEY in the environment"]


@pytest.mark.parametrize("order_id", ["../../admin", "..", "x\r\nHost: evil.com", "\u202e", ""])
async def test_what_leads_elsewhere_is_not_sent(http: httpx.AsyncClient, api: ToolApi, order_id: str) -> None:
    result = await ask(box(http, api), order_id)
    assert result.kind == "bad_arguments"
    assert result.text.startswith("get_order was not called: order_id")
    assert api.asked == []


@pytest.mark.parametrize("order_id", ["x@evil.com/", "a/b?c#d", "//evil.com", "%2e%2e/", "é{order_id}"])
async def test_what_looks_like_a_url_arrives_as_text(http: httpx.AsyncClient, api: ToolApi, order_id: str) -> None:
    assert (await ask(box(http, api), order_id)).ok
    [asked] = api.asked
    assert asked.headers["host"] == api.url.removeprefix("http://")
    assert asked.target.count("/") == 2
    assert not set(asked.target) & set("@?#{")


@pytest.mark.parametrize("arguments", ["", "null", "[1]", '{"order_id": 7}', '{"order_id": "7", "url": "x"}', "{"])
async def test_arguments_that_are_wrong_are_not_sent(http: httpx.AsyncClient, api: ToolApi, arguments: str) -> None:
    result = await box(http, api).run("get_order", arguments, tool_call_id="t1")
    assert result.kind == "bad_arguments"
    assert api.asked == []


@pytest.mark.parametrize("name", ["hang_up", "get_orders", "", "x" * 1000])
async def test_only_declared_tools_run(http: httpx.AsyncClient, api: ToolApi, name: str) -> None:
    result = await box(http, api).run(name, "{}", tool_call_id="t1")
    assert result.kind == "unknown_tool"
    assert len(result.tool) <= 64


async def test_a_tool_call_is_sent_once(http: httpx.AsyncClient, api: ToolApi) -> None:
    tools = box(http, api, method="POST")
    first = await ask(tools)
    assert await ask(tools) == first
    assert len(api.asked) == 1
    await ask(tools, tool_call_id="t2")
    await ask(box(http, api, method="POST"))  # another worker, the same call: the server can tell
    keys = [asked.headers["idempotency-key"] for asked in api.asked]
    assert keys[0] == keys[2] != keys[1]


async def test_a_tool_call_that_was_given_up_is_not_sent_again(http: httpx.AsyncClient, api: ToolApi) -> None:
    api.answer = stall
    tools = box(http, api, method="POST")
    running = asyncio.create_task(ask(tools))
    await until(lambda: api.asked)
    running.cancel()
    await asyncio.wait([running])
    again = await ask(tools)
    assert again.kind == "repeated"
    assert "not known" in again.text
    assert len(api.asked) == 1
