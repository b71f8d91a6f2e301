"""What the conversation is told of a tool that was called: the answer of a real server, and whether it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import httpx
import pytest

from ai_worker.agents import Agent
from ai_worker.conversation import events as ev
from ai_worker.conversation.persona import Scripted
from ai_worker.errands import Errands
from ai_worker.providers.base import ToolCall
from ai_worker.tools import ToolBox
from support.tools_api import reply, tool_api

ORDER = '{"order_id": "7"}'


async def told(calls: list[ToolCall], answer: bytes, *, gone: bool = False, taken: bool = False) -> list[ev.Event]:
    """The events that the calls lead to; `gone`: nobody listens at the tool's address; `taken`: the call is another
    worker's by now."""
    heard: list[ev.Event] = []
    async with tool_api(answer) as api, httpx.AsyncClient(trust_env=False) as http, asyncio.TaskGroup() as group:
        url = "http://127.0.0.1:9" if gone else api.url
        tool = {
            "name": "get_order",
            "description": "Look an order up.",
            "url": f"{url}/orders/{{order_id}}",
            "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}, "required": ["order_id"]},
        }
        written = {
            "name": "a",
            "greeting": "Hi.",
            "goodbye": "Bye.",
            "instructions": "x",
            "tools": ["hang_up", "press_digits", tool],
        }

        def start(errand: Coroutine[Any, Any, None], _guess: bool) -> asyncio.Task[None]:
            return group.create_task(errand)

        async def noted() -> bool:
            return not taken

        nothing = cast(Any, None)
        box = ToolBox(Agent.model_validate(written).for_call({}), http, {}, session="call-1")
        errands = Errands("call-1", nothing, nothing, nothing, box, None, start, heard.append, noted)
        for call in calls:
            errands.use(call)
    return heard


@pytest.mark.parametrize(
    ("status", "failed"), [("200 OK", False), ("404 Not Found", True), ("500 Internal Server Error", True)]
)
async def test_a_request_that_was_refused_or_failed_is_told_as_failed(status: str, failed: bool) -> None:
    [done] = await told([ToolCall("t1", "get_order", ORDER)], reply(b'{"state":"sent"}', status=status))
    assert isinstance(done, ev.ToolDone)
    assert done.failed is failed
    assert ("sent" in done.text) is (status[:1] != "5")


async def test_so_are_a_server_that_is_gone_and_arguments_that_do_not_fit() -> None:
    calls = [
        ToolCall("t1", "get_order", ORDER),
        ToolCall("t2", "get_order", "{}"),
        ToolCall("t3", "press_digits", '{"digits": "x"}'),
        ToolCall("t4", "no_such_tool", "{}"),
        ToolCall("t5", "press_digits", '{"digits": "1"}'),
    ]
    done = [event for event in await told(calls, b"", gone=True) if isinstance(event, ev.ToolDone)]
    assert {event.tool_call_id: event.failed for event in done} == {
        "t1": True,
        "t2": True,
        "t3": True,
        "t4": True,
        "t5": False,
    }


async def test_the_model_knows_when_a_wish_is_granted_and_what_the_caller_hears_before() -> None:
    calls = [
        ToolCall("t1", "press_digits", '{"digits": "1"}'),
        ToolCall("t2", "hang_up", '{"say": "Many thanks."}'),
        ToolCall("t3", "hang_up", ""),
    ]
    done = [event for event in await told(calls, b"") if isinstance(event, ev.ToolDone)]
    soon = "It is done when you have finished speaking."
    assert [event.text for event in done] == [
        soon,
        f'{soon} The caller is told right before: "Many thanks."',
        f'{soon} The caller is told right before: "Bye."',
    ]
    assert [event.request for event in done] == [
        Scripted("", "digits", "1"),
        Scripted("Many thanks.", "hangup"),
        Scripted("Bye.", "hangup"),
    ]


async def test_a_tool_of_a_call_that_another_worker_took_is_not_used() -> None:
    """It would be used twice: its new worker sees to it."""
    assert await told([ToolCall("t1", "get_order", ORDER)], reply(b"{}"), taken=True) == []
