"""An agent's file as it was written, and what is wrong with it, with the line."""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic_core import ErrorDetails

from ai_worker.agent_fields import Misplaced
from callbus.errors import BadYaml
from callbus.located_yaml import Loc as Loc
from callbus.located_yaml import Located, dotted


class AgentError(Exception):
    """Agents' files that can't be used: one line a problem, each with `file:line`."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Written(Located):
    """A file, which knows where everything in it stands."""

    __slots__ = ()

    def at(self, *loc: str | int) -> str:
        """`file:line` of the key or the item that `loc` names, or of the nearest one around it."""
        return f"{self.path}:{self.line(*loc)}"

    def problem(self, found: ErrorDetails) -> str:
        """One line for a value that is wrong."""
        loc = tuple(part for part in found["loc"] if not str(part).startswith(("<", "[")))
        cause = found.get("ctx", {}).get("error")
        within = ""
        if isinstance(cause, Misplaced):
            loc += cause.loc
            within = cause.within
        line, node = self.find(loc)
        if within:
            line = self._line_within(node, within) or line
        message = found["msg"].removeprefix("Value error, ")
        told = cause is None and found["type"] != "extra_forbidden" and isinstance(found["input"], str)
        given = f", not {found['input']!r}" if told else ""
        return f"{self.path}:{line}: {dotted(loc) or 'agent'}: {message}{given}"

    def _line_within(self, node: yaml.Node, words: str) -> int:
        first, last = node.start_mark.line, node.end_mark.line
        lines = self.text.splitlines()[first : last + 1]
        return next((number for number, line in enumerate(lines, first + 1) if words in line), 0)


def read(path: Path, *, typed: tuple[Loc, ...] = ()) -> Written:
    """A file; for `typed` see callbus.located_yaml. Raises AgentError."""
    try:
        return Written.read(path, what="an agent", shape="`name: …`, `greeting: …` and so on", typed=typed)
    except BadYaml as error:
        raise AgentError(*error.problems) from error
