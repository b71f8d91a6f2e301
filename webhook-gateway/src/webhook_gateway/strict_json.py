"""JSON from outside, as something the rest of the system can rely on: finite, shallow, and encodable again."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32


class BadJson(ValueError):
    """Bytes that are not one JSON object, with the reason."""


def read_object(raw: bytes) -> dict[str, Any]:
    """The JSON object in `raw` (UTF-8). Raises BadJson.

    Halves of surrogate pairs (a name that was cut in the middle of an emoji) become U+FFFD: they could not be
    encoded again.
    """
    try:
        value = _clean(json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse), MAX_DEPTH)
    except RecursionError as error:
        raise BadJson(f"nested deeper than {MAX_DEPTH} levels") from error
    except UnicodeDecodeError as error:
        raise BadJson(f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise BadJson(f"not JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:
        raise BadJson(str(error)) from error
    if not isinstance(value, dict):
        raise BadJson(f"expected a JSON object, got {type(value).__name__}")
    return value


def _refuse(constant: str) -> NoReturn:
    raise BadJson(f"{constant} is not JSON")


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadJson("a number is too large")
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        raise BadJson(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, list):
        return [_clean(item, depth - 1) for item in value]
    return {_clean(name, depth - 1): _clean(item, depth - 1) for name, item in value.items()}
