"""Built-in tools: whatever the model writes, only what the agent's file allows becomes an action."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.agents import Agent
from ai_worker.tools import LineRequest, MessageTaken, ToolBox, ToolResult

AGENT = Agent.model_validate(
    {
        "name": "a",
        "greeting": "Hi.",
        "instructions": "x",
        "goodbye": "Bye.",
        "transfer": {"sales": "33102", "desk": "33103"},
        "tools": ["transfer", "press_digits", "play_audio", "hang_up", "take_message"],
        "play_hosts": ["cdn.example.com"],
    }
)
NAMES = ("transfer", "press_digits", "play_audio", "hang_up", "take_message")


HTTP = httpx.AsyncClient()


def box(agent: Agent = AGENT) -> ToolBox:
    return ToolBox(agent, HTTP, {}, session="c1")


def request(name: str, arguments: Any) -> LineRequest | MessageTaken | ToolResult:
    return box().request(name, arguments if isinstance(arguments, str) else json.dumps(arguments))


@pytest.mark.parametrize(
    ("name", "arguments", "wanted"),
    [
        ("transfer", {"to": "sales"}, LineRequest("transfer", "33102")),
        ("transfer", {"to": "desk", "say": " One\n moment. "}, LineRequest("transfer", "33103", "One moment.")),
        ("press_digits", {"digits": "12#*AD"}, LineRequest("digits", "12#*AD")),
        (
            "play_audio",
            {"url": "https://CDN.example.com/a/b.mp3?x=1"},
            LineRequest("play", "https://CDN.example.com/a/b.mp3?x=1"),
        ),
        ("hang_up", "", LineRequest("hangup", "", "Bye.")),
        ("hang_up", {"say": "See you."}, LineRequest("hangup", "", "See you.")),
        ("take_message", {"message": " Call me. "}, MessageTaken("Call me.")),
        (
            "take_message",
            {"message": "m", "name": "Zoé", "number": "0612"},
            MessageTaken("m", "Zoé", "0612"),
        ),
    ],
)
def test_what_is_allowed(name: str, arguments: Any, wanted: LineRequest | MessageTaken) -> None:
    assert request(name, arguments) == wanted


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("transfer", {"to": "33899123456"}),
        ("transfer", {"to": "33102"}),
        ("transfer", {"to": "Sales"}),
        ("transfer", {"to": "sales "}),
        ("transfer", {"to": "s\u0430les"}),
        ("transfer", {"to": ["sales"]}),
        ("transfer", {"to": "sales", "number": "33899123456"}),
        ("transfer", {}),
        ("transfer", "sales"),
        ("transfer", '{"to": "sales"'),
        ("transfer", {"to": "sales", "say": "x" * 301}),
        ("press_digits", {"digits": ""}),
        ("press_digits", {"digits": "12 34"}),
        ("press_digits", {"digits": "12\n"}),
        ("press_digits", {"digits": "１２"}),
        ("press_digits", {"digits": 12}),
        ("press_digits", {"digits": "1" * 33}),
        ("play_audio", {"url": "http://cdn.example.com/a.mp3"}),
        ("play_audio", {"url": "https://evil.com/a.mp3"}),
        ("play_audio", {"url": "https://cdn.example.com.evil.com/a.mp3"}),
        ("play_audio", {"url": "https://cdn.example.com@evil.com/a.mp3"}),
        ("play_audio", {"url": "https://evil.com@cdn.example.com/a.mp3"}),
        ("play_audio", {"url": "https://evil.com\\@cdn.example.com/a.mp3"}),
        ("play_audio", {"url": "https://cdn.example.com\\.evil.com/a.mp3"}),
        ("play_audio", {"url": "https://evil.com#cdn.example.com/"}),
        ("play_audio", {"url": "https://cdn.example.com:8443/a.mp3"}),
        ("play_audio", {"url": "https://cdn.example.com./a.mp3"}),
        ("play_audio", {"url": "https://cdn。example。com/a.mp3"}),
        ("play_audio", {"url": "https://cdn.example.com/a.mp3\nhttps://evil.com/"}),
        ("play_audio", {"url": " https://cdn.example.com/a.mp3"}),
        ("play_audio", {"url": "https:cdn.example.com/a.mp3"}),
        ("play_audio", {"url": "https:///cdn.example.com/a.mp3"}),
        ("play_audio", {"url": "file:///etc/passwd"}),
        ("hang_up", {"now": True}),
        ("take_message", {"message": "  "}),
        ("take_message", {"message": "m", "to": "boss@example.com"}),
        ("take_message", '{"message": "\\ud800"}'),
        ("take_message", '{"message": NaN}'),
        ("take_message", '{"message": "' + "x" * 30_000 + '"}'),
        ("take_message", "[" * 15_000),
    ],
)
def test_what_is_not(name: str, arguments: Any) -> None:
    refused = request(name, arguments)
    assert isinstance(refused, ToolResult)
    assert refused.kind == "bad_arguments"
    assert refused.text.startswith(f"{name} was not called: ")
    assert len(refused.text) < 600


def test_only_the_agents_own_tools_exist() -> None:
    few = box(AGENT.model_copy(update={"tools": ("hang_up",)}))
    refused = few.request("transfer", '{"to": "sales"}')
    assert isinstance(refused, ToolResult)
    assert (refused.kind, refused.text) == ("unknown_tool", "There is no such tool. The tools are: hang_up.")
    assert [spec.name for spec in few.specs()] == ["hang_up"]
    none = box(AGENT.model_copy(update={"tools": ()}))
    assert none.specs() == ()
    assert isinstance(none.request("hang_up", ""), ToolResult)


def test_the_model_is_told_what_is_allowed() -> None:
    specs = {spec.name: spec for spec in box().specs()}
    assert tuple(specs) == NAMES
    assert specs["transfer"].parameters["properties"]["to"]["enum"] == ["sales", "desk"]
    assert "33102" not in repr(specs)
    assert "cdn.example.com" in repr(specs["play_audio"])
    assert not box().is_http("transfer")
    assert box().filler("transfer") == ""


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["to", "say", "digits", "url", "message", "name", "number"])
arguments = st.dictionaries(
    keys, json_values | st.sampled_from(["sales", "12", "https://cdn.example.com/a"]), max_size=3
)


@given(st.sampled_from(NAMES), (arguments | json_values).map(json.dumps) | st.text(max_size=100))
def test_nothing_that_is_written_widens_what_may_be_done(name: str, written: str) -> None:
    wanted = request(name, written)
    if isinstance(wanted, LineRequest):
        match wanted.kind:
            case "transfer":
                assert wanted.argument in AGENT.transfer.values()
            case "digits":
                assert set(wanted.argument) <= set("0123456789*#ABCD")
                assert wanted.argument
            case "play":
                assert wanted.argument.startswith("https://cdn.example.com")
            case "hangup":
                assert wanted.argument == ""
