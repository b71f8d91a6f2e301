"""Reads a scripted call from YAML; every mistake, and later every expectation that fails, has its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from voicebot_cli.bots.spec import Answer, ScriptedCall, ScriptedTurn
from voicebot_cli.errors import BotTestError
from voicebot_cli.phrases import plain

Loc = tuple[str | int, ...]
LARGEST_BYTES = 256 * 1024


class _AsWritten(yaml.SafeLoader):
    """Scalars stay text, so that what a telephone has keeps its zeros (0123) and `say: no` is a word; only an empty
    value is none."""


_AsWritten.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Scripted:
    """A file with one call, which knows where everything in it stands."""

    path: Path
    call: ScriptedCall
    root: yaml.Node

    def line(self, *loc: str | int) -> int:
        """The line (from 1) of the key or item that `loc` names, or of the nearest around it."""
        return _line(self.root, loc)


def find_files(places: list[Path]) -> list[Path]:
    """The files that are meant: those named, and those of the folders named. Raises BotTestError when there is none."""
    found: list[Path] = []
    for place in places:
        if place.is_dir():
            found += sorted([*place.glob("*.yaml"), *place.glob("*.yml")])
        elif place.is_file():
            found.append(place)
        else:
            raise BotTestError(f"{place}: no such file or folder")
    if not found:
        shown = " and ".join(map(str, places))
        raise BotTestError(f"{shown}: no scripted calls (*.yaml) there; docs/command-line.md shows how one looks")
    return found


def read_all(files: list[Path]) -> list[Scripted]:
    """Every file. Raises BotTestError with the problems of all of them."""
    read_ones: list[Scripted] = []
    problems: list[str] = []
    for file in files:
        try:
            read_ones.append(read(file))
        except BotTestError as error:
            problems += error.problems
    if problems:
        raise BotTestError(*problems)
    return read_ones


def read(path: Path) -> Scripted:
    """One file. Raises BotTestError."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise BotTestError(f"{path}:1: larger than {LARGEST_BYTES // 1024} KiB: a call is a page or two")
        loader = _AsWritten(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise BotTestError(f"{path}:1: expected a call: `name: …` and `turns: …`, each on its line")
        if repeated := list(_repeated(root)):
            raise BotTestError(*(f"{path}:{line}: `{key}` is here a second time" for line, key in repeated))
        document: Any = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise BotTestError(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BotTestError(f"{path}:1: can't be read: {error}") from error
    except RecursionError as error:
        raise BotTestError(f"{path}:1: can't be read: it is nested too deeply, or in itself") from error
    try:
        call = ScriptedCall.model_validate(document)
    except ValidationError as error:
        raise BotTestError(*(_problem(path, root, found) for found in error.errors())) from error
    scripted = Scripted(path, call, root)
    missing = [
        f"{path}:{scripted.line('turns', index, 'say_wav')}: no such file: {path.parent / turn.say_wav}"
        for index, turn in enumerate(call.turns)
        if turn.say_wav is not None and not (path.parent / turn.say_wav).is_file()
    ]
    if missing:
        raise BotTestError(*missing)
    return scripted


def _problem(path: Path, root: yaml.Node, found: ErrorDetails) -> str:
    loc = found["loc"]
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        known = [*_model_at(loc[:-1]).model_fields]
        close = difflib.get_close_matches(str(loc[-1]), known, n=1)
        message = f"unknown; did you mean {close[0]}?" if close else f"unknown; known are {', '.join(known)}"
    elif isinstance(found["input"], str) and plain(found["input"]) not in plain(message):
        message += f", not {found['input']!r}"
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    return f"{path}:{_line(root, loc)}: {place or 'call'}: {message}"


def _model_at(loc: Loc) -> type[BaseModel]:
    if loc and loc[-1] in ("expect", "greeting"):
        return Answer
    if loc and loc[-1] == "voice":
        return type(ScriptedCall.model_fields["voice"].default)
    return ScriptedTurn if loc[:1] == ("turns",) else ScriptedCall


def _line(root: yaml.Node, loc: Loc) -> int:
    node, line = root, root.start_mark.line + 1
    for part in loc:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == part), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line + 1, pair[1]
        else:
            break
    return int(line)


def _repeated(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Keys of which YAML would silently take the last."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key.start_mark.line + 1, key.value
                seen.add(key.value)
            yield from _repeated(value)
