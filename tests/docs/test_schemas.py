"""docs/openapi.json and docs/asyncapi.yaml are what their standards' own schemas allow."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator  # type: ignore[import-untyped]

from support.papers import ROOT

SCHEMAS = Path(__file__).parent / "schemas"


def openapi() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    return found


def asyncapi() -> dict[str, Any]:
    return copy.deepcopy(_asyncapi())


@cache
def _asyncapi() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text(encoding="utf-8"))
    return found


def standard(name: str) -> Any:
    schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return (Draft7Validator if "draft-07" in schema["$schema"] else Draft202012Validator)(schema)


def problems(validator: Any, paper: Any) -> list[str]:
    return [f"{'/'.join(map(str, error.path))}: {error.message[:200]}" for error in validator.iter_errors(paper)]


def payloads(value: Any) -> Iterator[dict[str, Any]]:
    """Every schema of a message, those of JSON within a text among them."""
    if isinstance(value, dict):
        yield from (value[name] for name in ("payload", "x-content-schema") if isinstance(value.get(name), dict))
        for name, inner in value.items():
            if name != "examples":
                yield from payloads(inner)


def test_the_openapi_paper_is_openapi() -> None:
    validator, paper = standard("openapi-3.1.json"), openapi()
    assert problems(validator, paper) == []
    for name, schema in paper["components"]["schemas"].items():
        # The standard's schema leaves these out: they are JSON schemas of their own.
        Draft202012Validator.check_schema(schema)
        assert schema.get("type") or schema.keys() & {"anyOf", "enum"}, name


def test_the_asyncapi_paper_is_asyncapi() -> None:
    assert problems(standard("asyncapi-3.0.0.json"), asyncapi()) == []


@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (("asyncapi",), "2.6.0"),
        (("operations", "*", "action"), "publish"),
        (("channels", "*", "messages"), []),
        (("components", "messages", "*", "payload", "type"), "strong"),
        (("info", "version"), None),
    ],
)
def test_what_asyncapi_forbids_is_found(place: tuple[str, ...], wrong: object) -> None:
    paper = asyncapi()
    inner = paper
    for part in place[:-1]:
        inner = inner[next(iter(inner)) if part == "*" else part]
    inner[place[-1]] = wrong
    assert problems(standard("asyncapi-3.0.0.json"), paper)


def test_what_openapi_forbids_is_found() -> None:
    validator, paper = standard("openapi-3.1.json"), openapi()
    spoils: list[Callable[[dict[str, Any]], object]] = [
        lambda bad: bad.pop("info"),
        lambda bad: bad["paths"].update({"no-slash": {}}),
        lambda bad: next(iter(bad["paths"].values()))["post"].update(responses=[]),
    ]
    for spoil in spoils:
        bad = copy.deepcopy(paper)
        spoil(bad)
        assert problems(validator, bad)


def test_examples_of_messages_are_what_their_payload_says() -> None:
    shown = 0
    for name, message in asyncapi()["components"]["messages"].items():
        for schema in payloads({"payload": message["payload"]}):
            Draft7Validator.check_schema(schema)
        for example in message.get("examples", ()):
            shown += 1
            assert problems(Draft7Validator(message["payload"]), example["payload"]) == [], name
    assert shown >= 9


def test_what_is_no_payload_is_found() -> None:
    message = asyncapi()["components"]["messages"]["media.transfer"]
    validator = Draft7Validator(message["payload"])
    [example] = message["examples"]
    assert problems(validator, example["payload"] | {"event": "play"})
