"""What became of a tool call, as a value: told to the language model in honest words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

from ai_worker.agent_schema import violations

LONGEST_ARGUMENTS = 20_000
"""Characters of a tool call's JSON."""

Kind: TypeAlias = Literal[
    "ok",
    "unknown_tool",
    "bad_arguments",
    "not_configured",
    "timed_out",
    "unreachable",
    "refused",
    "failed",
    "redirected",
    "unreadable",
    "repeated",
]


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`text` is for the language model; `status` is the HTTP status, if there was an answer."""

    tool: str
    kind: Kind
    text: str
    status: int | None = None

    @property
    def ok(self) -> bool:
        return self.kind == "ok"


class Unfit(ValueError):
    """Arguments that a tool can't be called with, in words for the language model that wrote them."""


def parse_arguments(schema: Mapping[str, Any], written: str) -> dict[str, Any]:
    """The arguments of a tool call, checked. Raises Unfit."""
    if len(written) > LONGEST_ARGUMENTS:
        raise Unfit(f"the arguments are longer than {LONGEST_ARGUMENTS} characters")
    try:
        arguments = json.loads(written.strip() or "{}", parse_constant=_refuse)
        # A half of a surrogate pair can be written in JSON, and can't be sent anywhere.
        json.dumps(arguments, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Unfit("the arguments are not JSON that can be read") from error
    if problems := list(violations(schema, arguments)):
        raise Unfit("; ".join(problems[:5]))
    return dict(arguments)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
