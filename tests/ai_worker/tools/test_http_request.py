"""HTTP tools' requests: arguments fill the holes of the file's template, and can't move its walls."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_worker.agent_tools import HttpTool
from ai_worker.tools.http_request import build
from ai_worker.tools.results import Unfit

PROPERTIES = {
    "order_id": {"type": "string"},
    "size": {"type": "integer"},
    "sure": {"type": "boolean"},
    "tags": {"type": "array", "items": {"type": "string"}},
}


def tool(**more: Any) -> HttpTool:
    return HttpTool.model_validate(
        {
            "name": "get_order",
            "description": "d",
            "url": "https://api.example.com/v1/orders/{order_id}",
            "parameters": {"type": "object", "properties": PROPERTIES, "required": ["order_id"]},
            **more,
        }
    )


def built(tool: HttpTool, call: dict[str, str] | None = None, secret: str = "", **arguments: Any) -> httpx.Request:
    return build(tool, arguments, call or {}, secret=secret, key="k1")


def test_a_get_puts_the_rest_into_the_query() -> None:
    request = built(tool(), order_id="A 1", size=3, sure=True, tags=["a&b", "c"])
    assert str(request.url) == "https://api.example.com/v1/orders/A%201?size=3&sure=true&tags=a%26b&tags=c"
    assert request.headers["host"] == "api.example.com"
    assert request.headers["idempotency-key"] == "k1"
    assert request.headers["accept-encoding"] == "identity"
    assert "authorization" not in request.headers
    assert request.content == b""


def test_a_post_puts_the_rest_into_the_body() -> None:
    request = built(tool(method="POST"), order_id="é", size=3)
    assert str(request.url) == "https://api.example.com/v1/orders/%C3%A9"
    assert json.loads(request.content) == {"size": 3}
    assert request.headers["content-type"] == "application/json"


def test_a_body_of_ones_own() -> None:
    body = {
        "size": "{size}",
        "sure": "{sure}",
        "text": "Order {order_id} of {caller_number|nobody}",
        "list": ["{tags}", "{size}", 1],
        "deep": {"brace": "{{order_id}}", "from": "{caller_number}", "fixed": None},
    }
    request = built(tool(method="PUT", body=body), {"caller_number": ""}, order_id='"}{size}', size=2)
    assert json.loads(request.content) == {
        "size": 2,
        "text": 'Order "}{size} of nobody',
        "list": [2, 1],
        "deep": {"brace": "{order_id}", "fixed": None},
    }


def test_the_calls_own_values_are_not_the_models() -> None:
    asking = tool(url="https://api.example.com/c/{caller_number}?menu={ivr_name}&v=2")
    call = {"caller_number": "33612345678", "ivr_name": ""}
    assert str(built(asking, call, order_id="1").url) == "https://api.example.com/c/33612345678?v=2&order_id=1"
    with pytest.raises(Unfit, match="caller_number is empty or not known"):
        built(asking, order_id="1")


def test_secrets() -> None:
    assert built(tool(secret_env="K"), secret="s3", order_id="1").headers["authorization"] == "Bearer s3"
    keyed = built(tool(secret_env="K", headers={"X-Key": "k={secret}"}), secret="s3", order_id="1")
    assert keyed.headers["x-key"] == "k=s3"
    assert "authorization" not in keyed.headers


def test_headers() -> None:
    asking = tool(headers={"X-Order": "no {order_id}", "X-Caller": "{caller_number}", "X-Brace": "{{order_id}}"})
    request = built(asking, order_id="{secret} 7")
    assert request.headers["x-order"] == "no {secret} 7"
    assert request.headers["x-brace"] == "{order_id}"
    assert "x-caller" not in request.headers


@pytest.mark.parametrize(
    "value", ["7\r\nX-Evil: 1", "7\nX: 1", "7\rX: 1", "7\0", "é", "\u2028X: 1", "\u010a", "7" * 1001, "\x7f"]
)
def test_a_header_stays_one_header(value: str) -> None:
    with pytest.raises(Unfit):
        built(tool(url="https://api.example.com/x", headers={"X-Order": "{order_id}"}), order_id=value)


@pytest.mark.parametrize(
    "value",
    [
        "../../admin",
        "..",
        ".",
        "a/../../b",
        "..\\..\\admin",
        "a\\..",
        "．．／admin",
        "․․/admin",
        " ../x",
        "",
        "   ",
        "7\r\nHost: evil.com",
        "7\0",
        "\u202e7",
        "\u200b..",
        "x" * 501,
    ],
)
def test_a_path_leads_nowhere_else(value: str) -> None:
    with pytest.raises(Unfit):
        built(tool(), order_id=value)
    with pytest.raises(Unfit):
        built(tool(url="https://api.example.com/{order_id}/lines"), order_id=value)


def test_two_dots_are_not_made_of_two_arguments() -> None:
    texts = {name: {"type": "string"} for name in "xy"}
    parameters = {"type": "object", "properties": texts, "required": ["x", "y"]}
    asking = tool(url="https://api.example.com/a/{x}{y}/b", parameters=parameters)
    with pytest.raises(Unfit):
        built(asking, x=".", y=".")
    assert built(asking, x="a", y=".b").url.path == "/a/a.b/b"


@pytest.mark.parametrize(
    "value",
    [
        "x@evil.com/",
        "//evil.com",
        "https://evil.com",
        "?admin=1",
        "#x",
        "a/b",
        "%2e%2e%2f",
        "%2F",
        "a;b=c",
        "a&b=c",
        "{size}",
        "{{secret}}",
        "...",
        "@evil.com:80",
        "evil。com",
    ],
)
def test_what_looks_like_a_url_is_only_text(value: str) -> None:
    request = built(tool(url="https://api.example.com/v1/orders/{order_id}?by={order_id}&v=1"), order_id=value)
    assert request.url.scheme == "https"
    assert request.url.host == "api.example.com"
    assert request.url.fragment == ""
    path, _, query = request.url.raw_path.decode().partition("?")
    assert path.count("/") == 3
    assert unquote(path.rpartition("/")[2]) == value
    assert parse_qsl(query) == [("by", value), ("v", "1")]


@given(st.text(max_size=80), st.text(max_size=80), st.integers())
def test_whatever_is_said_the_walls_stay(order_id: str, tag: str, size: int) -> None:
    asking = tool(
        url="https://api.example.com:8443/v1/{order_id}/lines?q={order_id}",
        headers={"X-Order": "{order_id}", "X-Secret": "{secret}"},
        secret_env="K",
    )
    try:
        request = built(asking, secret="s3", order_id=order_id, size=size, tags=[tag])
    except Unfit:
        return
    assert (request.url.scheme, request.url.host, request.url.port) == ("https", "api.example.com", 8443)
    path, _, query = request.url.raw_path.decode().partition("?")
    assert path.split("/")[1::2] == ["v1", "lines"]
    assert len(path.split("/")) == 4
    assert [name for name, _ in parse_qsl(query, keep_blank_values=True)] == ["q", "size", "tags"]
    assert dict(parse_qsl(query, keep_blank_values=True))["q"] == order_id
    assert "s3" not in request.headers.get("x-order", "") or "s3" in order_id
    assert all(ord(char) >= 32 for value in request.headers.values() for char in value)
