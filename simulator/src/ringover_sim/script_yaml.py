"""Reads a call script from YAML; every mistake is reported with its line."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ringover_sim.errors import ScriptError
from ringover_sim.script import CallScript

SHORT_FORM: dict[str, str | None] = {
    "say": "text",
    "say_wav": "path",
    "wait_for_bot": "timeout",
    "wait_for_bot_to_start": "timeout",
    "interrupt": "say",
    "press": "digits",
    "pause": "seconds",
    "drop_connection": "reconnect_after",
    "hang_up": None,
    "expect": "command",
    "wait_for_end": "timeout",
}
"""Each step's name and the field a bare value stands for: `say: hello` is `say: {text: hello}`."""


def load_script(path: Path) -> CallScript:
    """Read a script file. Raises ScriptError naming file, line and what was expected."""
    try:
        return parse_script(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path}: {error}") from error


def parse_script(text: str, name: str = "script") -> CallScript:
    """A script from YAML text; `name` is what error messages call it. Raises ScriptError."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ScriptError(f"{name}:{line}: not YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ScriptError(f"{name}: not YAML: {error}") from error
    if not isinstance(document, dict):
        raise ScriptError(f"{name}:1: a script is a mapping with at least `steps`, not {type(document).__name__}")
    steps = document.get("steps")
    if isinstance(steps, list):
        document["steps"] = [_long_form(step, f"{name}:{_line(root, ('steps', i))}") for i, step in enumerate(steps)]
    try:
        return CallScript.model_validate(document)
    except ValidationError as error:
        problems = [f"{name}:{_line(root, item['loc'])}: {_problem(item)}" for item in error.errors()]
        raise ScriptError("\n".join(problems)) from error


def _long_form(step: Any, where: str) -> Any:
    """`{say: hello}` and `hang_up` as the models want them: `{do: say, text: hello}`, `{do: hang_up}`."""
    if isinstance(step, str):
        key, value = step, None
    elif isinstance(step, dict) and len(step) == 1:
        key, value = next(iter(step.items()))
    else:
        raise ScriptError(f"{where}: a step is one name with its value, such as `say: hello`, not {step!r}")
    if key not in SHORT_FORM:
        close = difflib.get_close_matches(str(key), SHORT_FORM, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; known are {', '.join(SHORT_FORM)}"
        raise ScriptError(f"{where}: unknown step {key!r}{hint}")
    if value is None:
        return {"do": key}
    if isinstance(value, dict):
        return {**value, "do": key}
    field = SHORT_FORM[key]
    if field is None:
        raise ScriptError(f"{where}: {key} takes no value, got {value!r}")
    return {"do": key, field: value}


def _problem(item: Any) -> str:
    path = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    got = f", got {item['input']!r}" if isinstance(item["input"], str | int | float) else ""
    return f"{path or 'script'}: {message}{got}"


def _line(root: yaml.Node | None, location: tuple[str | int, ...]) -> int:
    """The line (from 1) of the deepest node that the location leads to."""
    node, line = root, 1
    for part in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
        elif isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == part), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
            continue
        else:
            break
        line = node.start_mark.line + 1
    return line
