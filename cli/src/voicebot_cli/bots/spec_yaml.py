"""Reads a scripted call from YAML; every mistake, and later every expectation that fails, has its line."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from callbus.errors import BadYaml
from callbus.located_yaml import Loc, Located, dotted
from voicebot_cli.bots.spec import Answer, ScriptedCall, ScriptedTurn
from voicebot_cli.errors import BotTestError
from voicebot_cli.phrases import plain


@dataclass(frozen=True, slots=True)
class Scripted:
    """A file with one call, which knows where everything in it stands."""

    path: Path
    call: ScriptedCall
    written: Located

    def line(self, *loc: str | int) -> int:
        """The line (from 1) of the key or item that `loc` names, or of the nearest around it."""
        return self.written.line(*loc)


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
        written = Located.read(path, what="a call", shape="`name: …` and `turns: …`")
    except BadYaml as error:
        raise BotTestError(*error.problems) from error
    try:
        call = ScriptedCall.model_validate(written.document)
    except ValidationError as error:
        raise BotTestError(*(_problem(written, found) for found in error.errors())) from error
    scripted = Scripted(path, call, written)
    missing = [
        f"{path}:{scripted.line('turns', index, 'say_wav')}: no such file: {path.parent / turn.say_wav}"
        for index, turn in enumerate(call.turns)
        if turn.say_wav is not None and not (path.parent / turn.say_wav).is_file()
    ]
    if missing:
        raise BotTestError(*missing)
    return scripted


def _problem(written: Located, found: ErrorDetails) -> str:
    loc = found["loc"]
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "extra_forbidden":
        known = [*_model_at(loc[:-1]).model_fields]
        close = difflib.get_close_matches(str(loc[-1]), known, n=1)
        message = f"unknown; did you mean {close[0]}?" if close else f"unknown; known are {', '.join(known)}"
    elif isinstance(found["input"], str) and plain(found["input"]) not in plain(message):
        message += f", not {found['input']!r}"
    return f"{written.path}:{written.line(*loc)}: {dotted(loc) or 'call'}: {message}"


def _model_at(loc: Loc) -> type[BaseModel]:
    if loc and loc[-1] in ("expect", "greeting"):
        return Answer
    if loc and loc[-1] == "voice":
        return type(ScriptedCall.model_fields["voice"].default)
    return ScriptedTurn if loc[:1] == ("turns",) else ScriptedCall
