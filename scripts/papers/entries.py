"""Describes the entries of the Redis streams: each dataclass is encoded once, and its fields are what comes out."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import TypeAdapter

Encode = Callable[[Any], Mapping[bytes, bytes]]

_SAMPLES: dict[object, Any] = {str: "x", int: 1, float: 1.5, bool: True, bytes: b"\0\0", types.NoneType: None}
_BINARY = {
    b"d": "s16le mono samples at the session's rate",
    b"t": "at: epoch seconds",
    b"p": "position_ms: media time of the first sample",
    b"c": "call_id",
    b"h": "epoch, last (0 or 1) and segment, with a space between",
}


def sample(cls: type[Any]) -> Any:
    """An instance of a message with some value in every field."""
    hints = typing.get_type_hints(cls)
    return cls(**{field.name: _value(hints[field.name]) for field in dataclasses.fields(cls)})


def payload(cls: type[Any], encode: Encode) -> dict[str, Any]:
    """JSON schema of a stream entry's fields."""
    fields = encode(sample(cls))
    properties = {name.decode(): _field(name, value, cls) for name, value in fields.items()}
    return {"type": "object", "required": list(properties), "properties": properties}


def message(cls: type[Any], encode: Encode) -> dict[str, Any]:
    """An AsyncAPI message object."""
    return {"name": cls.__name__, "summary": " ".join((cls.__doc__ or "").split()), "payload": payload(cls, encode)}


def plain_schema(cls: type[Any]) -> dict[str, Any]:
    """The dataclass as JSON schema; its description is the message's."""
    schema = TypeAdapter(cls).json_schema()
    for key in ("title", "description"):
        schema.pop(key, None)
    for inner in schema.get("properties", {}).values():
        inner.pop("title", None)
    return schema


def name_of(cls: type[Any]) -> str:
    """A component's name: camelCase."""
    return re.sub(r"^[A-Z]", lambda first: first[0].lower(), cls.__name__)


def _field(name: bytes, value: bytes, cls: type[Any]) -> dict[str, Any]:
    if name == b"k":
        return {"const": value.decode()}
    if name == b"j":
        return {"type": "string", "contentMediaType": "application/json", "x-content-schema": plain_schema(cls)}
    if name in _BINARY:
        return {"type": "string", "description": _BINARY[name]}
    return {"type": "string", **({"contentMediaType": "application/json"} if _is_json(value) else {})}


def _is_json(value: bytes) -> bool:
    try:
        return isinstance(json.loads(value), dict)
    except ValueError:
        return False


def _value(hint: Any) -> Any:
    if hint in _SAMPLES:
        return _SAMPLES[hint]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return arguments[0]
    if origin in (typing.Union, types.UnionType):
        return _value(arguments[0])
    return {}
