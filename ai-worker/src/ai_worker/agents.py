"""The bots: one YAML file each, read and checked as a whole before the first call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ai_worker.agent_rules import Misplaced, Name, Rule, Text, plain_words

_PUNCTUATION = re.compile(r"[+\s().-]+")


class AgentError(Exception):
    """Agents' files that can't be used: one line a problem, each with `file:line`."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _bare_number(written: object) -> object:
    return _PUNCTUATION.sub("", written) if isinstance(written, str) else written


Number = Annotated[str, BeforeValidator(_bare_number), StringConstraints(pattern=r"^[0-9]{2,18}$")]


class Agent(BaseModel):
    """One bot: what it says, what it may do, which numbers it answers (E.164 without `+`, or internal ones)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    numbers: tuple[Number, ...] = ()
    default: bool = False
    greeting: Text
    instructions: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20_000)]
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = "en"
    voice: str = ""
    apology: Text = "I am sorry, something went wrong on my side."
    reprompt: Text = "Sorry, I didn't catch that."
    silence_prompts: tuple[Text, Text] = ("Are you still there?", "I am still here if you need anything.")
    goodbye: Text = "I will hang up now. Goodbye."
    transfer: dict[Name, Number] = Field(default_factory=dict)
    fallback_transfer: Name | None = None
    allow_interruptions: bool = True
    recording: bool = True
    max_call_minutes: Annotated[int, Field(ge=1, le=240)] = 30
    rules: tuple[Rule, ...] = ()

    @model_validator(mode="after")
    def _transfers_exist(self) -> Self:
        wanted: list[tuple[tuple[str | int, ...], str | None]] = [(("fallback_transfer",), self.fallback_transfer)]
        wanted += [(("rules", index, "to"), rule.to) for index, rule in enumerate(self.rules)]
        for loc, name in wanted:
            if name is not None and name not in self.transfer:
                known = ", ".join(self.transfer) or "nothing"
                raise Misplaced(loc, f"{name!r} is not in `transfer`, which has {known}")
        return self

    @property
    def is_default(self) -> bool:
        """Whether it answers the numbers that no agent names."""
        return self.default or not self.numbers

    def match(self, text: str) -> Rule | None:
        """The first rule that the caller's words call for."""
        words = plain_words(text)
        return next((rule for rule in self.rules if rule.matches(words)), None)


class AgentBook:
    """Every agent of a folder; see `load_agents`."""

    def __init__(self, agents: tuple[Agent, ...], default: Agent) -> None:
        self.agents = agents
        self.default = default
        self._by_number = {number: agent for agent in agents for number in agent.numbers}

    def for_number(self, to_number: str) -> Agent:
        """The agent of a called number, written with or without `+` and spaces; the default one for any other."""
        return self._by_number.get(_PUNCTUATION.sub("", to_number), self.default)


@dataclass(frozen=True, slots=True)
class _File:
    """An agent's file: as it was written, and what it means."""

    path: Path
    root: yaml.Node
    agent: Agent

    def at(self, *loc: str | int) -> str:
        return f"{self.path}:{_line(self.root, loc)}"


def load_agents(directory: Path) -> AgentBook:
    """Read every `*.yaml` of a folder. Raises AgentError with all problems of all files."""
    paths = sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])
    if not paths:
        raise AgentError(f"{directory}: no agent here: expected a folder with one .yaml file for each bot")
    problems: list[str] = []
    files: list[_File] = []
    for path in paths:
        try:
            files.append(_read(path))
        except AgentError as error:
            problems += error.problems
    problems += _conflicts(files)
    defaults = [file for file in files if file.agent.is_default]
    if len(defaults) > 1:
        others = ", ".join(file.at("default") for file in defaults[1:])
        problems.append(
            f"{defaults[0].at('default')}: only one agent can answer all other numbers, but so does {others}: "
            "give each `numbers`, and one of them `default: true`"
        )
    elif not defaults and not problems:
        problems.append(f"{directory}: no agent answers all other numbers: give one of them `default: true`")
    if problems:
        raise AgentError(*problems)
    return AgentBook(tuple(file.agent for file in files), defaults[0].agent)


def _conflicts(files: list[_File]) -> Iterator[str]:
    names: dict[str, str] = {}
    numbers: dict[str, str] = {}
    for file in files:
        where = file.at("name")
        first = names.setdefault(file.agent.name, where)
        if first is not where:
            yield f"{where}: the name {file.agent.name!r} is taken by {first}"
        for index, number in enumerate(file.agent.numbers):
            where = file.at("numbers", index)
            first = numbers.setdefault(number, where)
            if first is not where:
                yield f"{where}: the number {number} is answered by {first} already"


class _AsWritten(yaml.SafeLoader):
    """Scalars stay text, so that a number keeps its zeros; only an empty value (or null) is none."""


_AsWritten.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag == "tag:yaml.org,2002:null"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _read(path: Path) -> _File:
    try:
        loader = _AsWritten(path.read_text(encoding="utf-8"))
        root = loader.get_single_node()
        if not isinstance(root, yaml.MappingNode):
            raise AgentError(f"{path}:1: expected an agent: `name: …`, `greeting: …` and so on, each on its line")
        if repeated := list(_repeated_keys(root)):
            raise AgentError(*(f"{path}:{line}: `{key}` is here a second time" for line, key in repeated))
        document: Any = loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise AgentError(f"{path}:{mark.line + 1 if mark else 1}: not YAML: {error.problem}") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AgentError(f"{path}:1: can't be read: {error}") from error
    try:
        return _File(path, root, Agent.model_validate(document))
    except ValidationError as error:
        raise AgentError(*(_problem(path, root, found) for found in error.errors())) from error


def _repeated_keys(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Keys that YAML would silently let the last one win; aliases are looked into where they are defined."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated_keys(item)
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    yield key.start_mark.line + 1, key.value
                seen.add(key.value)
            yield from _repeated_keys(value)


def _problem(path: Path, root: yaml.Node, found: ErrorDetails) -> str:
    loc = found["loc"]
    cause = found.get("ctx", {}).get("error")
    if isinstance(cause, Misplaced):
        loc += cause.loc
    message = found["msg"].removeprefix("Value error, ")
    told = cause is None and found["type"] != "extra_forbidden" and isinstance(found["input"], str)
    given = f", not {found['input']!r}" if told else ""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    return f"{path}:{_line(root, loc)}: {place or 'agent'}: {message}{given}"


def _line(root: yaml.Node, loc: tuple[str | int, ...]) -> int:
    """The line (from 1) of the key or the item that `loc` names, or of the nearest one around it."""
    node = root
    line = root.start_mark.line + 1
    for part in loc:
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode) and (pair := _pair(node, part)):
            line = pair[0].start_mark.line + 1
            node = pair[1]
        else:
            break
    return int(line)


def _pair(mapping: yaml.MappingNode, name: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    return next(((key, value) for key, value in mapping.value if key.value == name), None)
