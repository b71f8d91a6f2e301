"""Tools in agents' files: what may be declared, and where a mistake is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.agent_fields import Misplaced
from ai_worker.agent_schema import LONGEST_STRING, check_schema, violations
from ai_worker.agents import Agent, AgentError, load_agents

GOOD = "name: lib\ngreeting: Hello.\ninstructions: Be brief.\n"

ORDER = """\
tools:
- name: get_order
  description: Look an order up.
  method: POST
  url: https://api.example.com/orders/{order_id}?by={caller_number}
  parameters:
    type: object
    properties:
      order_id: {type: string, pattern: '[0-9]{6}'}
      size: {type: integer, minimum: 1, maximum: 9}
    required: [order_id]
  headers:
    X-Key: '{secret}'
  secret_env: ORDER_KEY
  body:
    size: '{size}'
    count: 3
    exact: true
    code: '007'
    plain: 007
  timeout_s: 2.5
  filler: One moment please.
  result_limit: 300
"""


def load(tmp_path: Path, more: str) -> Agent:
    (tmp_path / "a.yaml").write_text(GOOD + more, encoding="utf-8")
    return load_agents(tmp_path).default


def test_a_tool_in_full(tmp_path: Path) -> None:
    agent = load(tmp_path, ORDER)
    [tool] = agent.http_tools
    assert (tool.name, tool.method, tool.timeout_s, tool.result_limit) == ("get_order", "POST", 2.5, 300)
    assert tool.parameters["properties"]["size"] == {"type": "integer", "minimum": 1, "maximum": 9}
    assert tool.body == {"size": "{size}", "count": 3, "exact": True, "code": "007", "plain": "007"}
    assert agent.tool_names == ("get_order",)


def test_built_in_tools(tmp_path: Path) -> None:
    agent = load(
        tmp_path,
        "tools: [hang_up, transfer, play_audio]\ntransfer: {desk: '33102'}\nplay_hosts: [CDN.example.com]\n",
    )
    assert agent.built_ins == ("transfer", "play_audio", "hang_up")
    assert agent.play_hosts == ("cdn.example.com",)


@pytest.mark.parametrize(
    ("before", "after", "line", "says"),
    [
        ("- name: get_order", "- name: transfer", 5, "tools[0].name: 'transfer' is a built-in tool"),
        ("https://api.example.com", "http://api.example.com", 8, "only this machine (localhost)"),
        ("https://api.example.com", "ftp://api.example.com", 8, "expected https://host/path"),
        ("https://api.example.com", "https://{order_id}.example.com", 8, "the host is fixed"),
        ("https://api.example.com", "https://bob@example.com", 8, "the host is fixed"),
        ("https://api.example.com", "//api.example.com", 8, "expected https://host/path"),
        ("https://api.example.com", "https://api.example.com:port", 8, "not a URL"),
        ("https://api.example.com", "https://api.éxample.com", 8, "expected https://host/path"),
        ("orders/{order_id}", "orders/../{order_id}", 8, "leads back"),
        ("orders/{order_id}", "orders/{{order_id}}", 8, "written %7B"),
        ("orders/{order_id}", "orders/{id}", 8, "{id} is unknown here; known are order_id, size, caller_number"),
        ("orders/{order_id}", "orders/{size}", 8, "so it must be in `required`"),
        ("orders/{order_id}", "orders/{secret}", 8, "{secret} is unknown here"),
        ("?by={caller_number}", "?by=x{caller_number}", 8, "is a whole value"),
        ("?by={caller_number}", "?{order_id}=1", 8, "is a whole value"),
        ("?by={caller_number}", "#top", 8, "tools[0].url"),
        ("    type: object", "    type: array", 10, "tools[0].parameters"),
        ("{type: string, pattern: '[0-9]{6}'}", "{type: text}", 12, "parameters.properties.order_id.type: needs"),
        ("{type: string, pattern: '[0-9]{6}'}", "{type: string, format: date}", 12, "`format` is not checked here"),
        ("{type: string, pattern: '[0-9]{6}'}", "{type: string, pattern: '('}", 12, "not a regular expression"),
        ("{type: string, pattern: '[0-9]{6}'}", "{type: string, pattern: '(a+)+'}", 12, "take forever"),
        ("minimum: 1", "minimum: one", 13, "expected a number"),
        ("      size:", "      caller_number:", 13, "'caller_number' is a name of ours"),
        ("required: [order_id]", "required: [order]", 14, "'order' is not in `properties`"),
        ("X-Key", "Host", 16, "is no header that a tool may set"),
        ("X-Key", "'X Key'", 16, "is no header that a tool may set"),
        ("'{secret}'", '"a\\r\\nb"', 16, "expected printable ASCII"),
        ("'{secret}'", "'{key}'", 16, "{key} is unknown here"),
        ("  secret_env: ORDER_KEY\n", "", 16, "needs `secret_env`"),
        ("ORDER_KEY", "order-key", 17, "secret_env"),
        ("size: '{size}'", "size: '{sise}'", 19, "tools[0].body.size: {sise} is unknown"),
        ("method: POST", "method: GET", 18, "a GET request has no body"),
        ("timeout_s: 2.5", "timeout_s: 60", 24, "tools[0].timeout_s"),
        ("One moment please.", "'One moment, {name}.'", 25, "{name} is unknown"),
        ("result_limit: 300", "result_limt: 300", 26, "tools[0].result_limt: Extra inputs"),
        ("result_limit: 300\n", "result_limit: 300\n- shout\n", 27, "tools[1]: Input should be 'transfer'"),
        ("result_limit: 300\n", "result_limit: 300\n- hang_up\n- hang_up\n", 28, "a tool 'hang_up' already"),
        ("result_limit: 300\n", "result_limit: 300\n- transfer\n", 27, "it needs `transfer`"),
        ("result_limit: 300\n", "result_limit: 300\n- play_audio\n", 27, "it needs `play_hosts`"),
        ("result_limit: 300\n", "result_limit: 300\nplay_hosts: [a.example]\n", 27, "which is not in `tools`"),
        ("result_limit: 300\n", "result_limit: 300\nplay_hosts: ['https://a.example/']\n", 27, "play_hosts[0]"),
    ],
)
def test_a_mistake_in_a_tool_is_reported_with_its_line(
    tmp_path: Path, before: str, after: str, line: int, says: str
) -> None:
    assert before in ORDER
    with pytest.raises(AgentError) as caught:
        load(tmp_path, ORDER.replace(before, after, 1))
    [problem] = caught.value.problems
    assert problem.startswith(f"{tmp_path}/a.yaml:{line}: ")
    assert says in problem


SCHEMA = {
    "type": "object",
    "properties": {
        "word": {"type": "string", "enum": ["yes", "no"]},
        "code": {"type": "string", "pattern": "[0-9]{3}|x"},
        "note": {"type": "string", "minLength": 2},
        "count": {"type": "integer", "minimum": 1, "maximum": 5},
        "price": {"type": "number"},
        "sure": {"type": "boolean", "const": True},
        "items": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2},
        "who": {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]},
    },
    "required": ["word"],
}


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"word": "yes"}, ""),
        ({"word": "no", "code": "123", "note": "ab", "count": 5, "price": 1, "sure": True, "items": ["a"]}, ""),
        ({"word": "yes", "code": "x", "price": 1.5, "who": {"age": 3}}, ""),
        ([], "arguments: expected object"),
        ({}, "arguments: word is missing"),
        ({"word": "maybe"}, "word: expected one of ['yes', 'no'], not 'maybe'"),
        ({"word": "yes", "other": 1}, "'other' is unknown"),
        ({"word": "yes", "code": "1234"}, "code: '1234' does not match"),
        ({"word": "yes", "code": "123\n"}, "does not match"),
        ({"word": "yes", "code": "１２３"}, "does not match"),
        ({"word": "yes", "note": "a"}, "note: 1 characters, at least 2"),
        ({"word": "yes", "note": "a" * (LONGEST_STRING + 1)}, "at most 1000"),
        ({"word": "yes", "count": 6}, "count: 6, at most 5"),
        ({"word": "yes", "count": True}, "count: expected integer"),
        ({"word": "yes", "count": "3"}, "count: expected integer"),
        ({"word": "yes", "price": float("inf")}, "price: expected number"),
        ({"word": "yes", "sure": False}, "sure: expected True"),
        ({"word": "yes", "items": ["a", "b", "c"]}, "items: 3 items, at most 2"),
        ({"word": "yes", "items": ["abcd"]}, "items[0]: 4 characters"),
        ({"word": "yes", "who": {"age": "x"}}, "who.age: expected integer"),
        ({"word": "yes", "note": None}, "note: expected string"),
    ],
)
def test_arguments_are_checked(value: Any, wrong: str) -> None:
    check_schema(SCHEMA)
    found = list(violations(SCHEMA, value))
    assert len(found) == bool(wrong)
    assert wrong in "".join(found)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(json_values | st.dictionaries(st.sampled_from([*SCHEMA["properties"], "x"]), json_values))
def test_whatever_passes_is_what_was_declared(value: Any) -> None:
    if not list(violations(SCHEMA, value)):
        assert value["word"] in ("yes", "no")
        assert set(value) <= set(SCHEMA["properties"])
        assert 1 <= value.get("count", 1) <= 5


@given(json_values)
def test_any_schema_is_taken_or_refused(value: Any) -> None:
    schema = {"type": "object", "properties": {"a": value}}
    try:
        check_schema(schema)
    except Misplaced:
        return
    list(violations(schema, {"a": 1}))
