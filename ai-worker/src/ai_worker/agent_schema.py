"""The part of JSON Schema that tools' parameters may use: what is declared is checked, and nothing else is accepted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from ai_worker.agent_fields import Misplaced
from ai_worker.agent_rules import repeats_a_repetition

LONGEST_STRING = 1000
"""Characters of a string that sets no `maxLength`."""
MOST_ITEMS = 50
"""Items of an array that sets no `maxItems`."""
_DEEPEST = 5

_ANNOTATIONS = frozenset({"title", "description", "default", "examples"})
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"enum", "const", "pattern", "minLength", "maxLength"}),
    "integer": frozenset({"enum", "const", "minimum", "maximum"}),
    "number": frozenset({"enum", "const", "minimum", "maximum"}),
    "boolean": frozenset({"enum", "const"}),
}
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")

_Loc = tuple[str | int, ...]


def check_schema(schema: object, loc: _Loc = ()) -> None:
    """Whether arguments can be checked against a schema, of type object. Raises Misplaced."""
    if isinstance(schema, dict) and schema.get("type") != "object":
        raise Misplaced((*loc, "type"), f"a tool's parameters are `type: object`, not {schema.get('type')!r}")
    _check(schema, loc)


def _check(schema: object, loc: _Loc) -> None:
    if not isinstance(schema, dict):
        raise Misplaced(loc, "expected a JSON schema: `type: …` and so on, each on its line")
    if len(loc) > 2 * _DEEPEST:
        raise Misplaced(loc, "is nested too deeply for a telephone")
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KEYWORDS:
        at = (*loc, "type") if "type" in schema else loc
        raise Misplaced(at, f"needs `type`, one of {', '.join(_KEYWORDS)}")
    for keyword, value in schema.items():
        if keyword in _ANNOTATIONS or keyword == "type":
            continue
        if keyword not in _KEYWORDS[kind]:
            known = ", ".join(sorted(_KEYWORDS[kind]))
            raise Misplaced((*loc, keyword), f"`{keyword}` is not checked here; for {kind} there are {known}")
        if problem := _keyword_problem(keyword, value, kind):
            raise Misplaced((*loc, keyword), problem)
    properties = schema.get("properties", {})
    for name, inner in properties.items():
        if not _PARAMETER.fullmatch(name):
            raise Misplaced((*loc, "properties", name), "a parameter's name is letters, digits and _")
        _check(inner, (*loc, "properties", name))
    for index, name in enumerate(schema.get("required", [])):
        if name not in properties:
            raise Misplaced((*loc, "required", index), f"{name!r} is not in `properties`")
    if "items" in schema:
        _check(schema["items"], (*loc, "items"))


def _keyword_problem(keyword: str, value: object, kind: str) -> str:
    match keyword:
        case "properties" if not isinstance(value, dict):
            return "expected a name and a schema for each property"
        case "required" if not _is_list_of(value, str):
            return "expected a list of names"
        case "additionalProperties" if value is not False:
            return "arguments that are not declared are refused: only `false` is possible"
        case "enum" if not isinstance(value, list) or not value or not all(_is(kind, item) for item in value):
            return f"expected a list of {kind} values"
        case "const" if not _is(kind, value):
            return f"expected a value of type {kind}"
        case "minimum" | "maximum" if not _is("number", value):
            return "expected a number"
        case "minLength" | "maxLength" | "minItems" | "maxItems" if not _is("integer", value) or _negative(value):
            return "expected a whole number, not below 0"
        case "pattern":
            return _pattern_problem(value)
    return ""


def _pattern_problem(value: object) -> str:
    try:
        re.compile(value if isinstance(value, str) else "(")
    except re.error as error:
        return f"not a regular expression: {error.msg}"
    if repeats_a_repetition(str(value)):
        return "repeats a repetition, such as (a+)+: that can take forever"
    return ""


def violations(schema: Mapping[str, Any], value: object, where: str = "arguments") -> Iterator[str]:
    """What is wrong with a value that `schema` (one that `check_schema` accepted) is for: nothing, if it is right."""
    kind = schema["type"]
    if not _is(kind, value):
        yield f"{where}: expected {kind}, not {_shown(value)}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: expected one of {_shown(schema['enum'])}, not {_shown(value)}"
    if "const" in schema and value != schema["const"]:
        yield f"{where}: expected {_shown(schema['const'])}, not {_shown(value)}"
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name in schema.get("required", ()):
            if name not in value:
                yield f"{where}: {name} is missing"
        for name, inner in value.items():
            if name in properties:
                yield from violations(properties[name], inner, name if where == "arguments" else f"{where}.{name}")
            else:
                yield f"{where}: {_shown(name)} is unknown; known are {', '.join(properties) or 'none'}"
    elif isinstance(value, list):
        yield from _out_of_bounds(
            len(value), schema.get("minItems"), schema.get("maxItems", MOST_ITEMS), where, "items"
        )
        if "items" in schema:
            for index, item in enumerate(value[:MOST_ITEMS]):
                yield from violations(schema["items"], item, f"{where}[{index}]")
    elif isinstance(value, str):
        longest = schema.get("maxLength", LONGEST_STRING)
        yield from _out_of_bounds(len(value), schema.get("minLength"), longest, where, "characters")
        # A pattern is for the whole text, as who writes `[0-9]{6}` means it: JSON Schema would let "x123456y" through.
        pattern = schema.get("pattern")
        if pattern is not None and len(value) <= longest and not re.fullmatch(f"(?:{pattern})", value):
            yield f"{where}: {_shown(value)} does not match {pattern}"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _out_of_bounds(value, schema.get("minimum"), schema.get("maximum"), where, "")


def _out_of_bounds(value: float, least: float | None, most: float | None, where: str, unit: str) -> Iterator[str]:
    if least is not None and value < least:
        yield f"{where}: {value} {unit}".rstrip() + f", at least {least}"
    if most is not None and value > most:
        yield f"{where}: {value} {unit}".rstrip() + f", at most {most}"


def _is(kind: str, value: object) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_list_of(value: object, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _negative(value: object) -> bool:
    return isinstance(value, int) and value < 0


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 20:
        return f"{len(value)} values"
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
