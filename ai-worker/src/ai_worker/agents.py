"""The bots: one YAML file each, read and checked as a whole before the first call. See docs/agents.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from ai_worker import agent_yaml
from ai_worker.agent import Agent
from ai_worker.agent_fields import bare_number
from ai_worker.agent_providers import ProviderOrder
from ai_worker.agent_recording import FOLDER
from ai_worker.agent_yaml import AgentError, Written
from ai_worker.settings import Seam

__all__ = ["Agent", "AgentBook", "AgentError", "ProviderOrder", "load_agents"]

_JSON_PLACES: tuple[agent_yaml.Loc, ...] = (("tools", "*", "parameters"), ("tools", "*", "body"))


class AgentBook:
    """Every agent of a folder, by its file; see `load_agents`."""

    def __init__(self, files: Mapping[Path, Agent], default: Agent) -> None:
        self.files = files
        self.agents = tuple(files.values())
        self.default = default
        self._numbers: dict[str, Agent] = {}
        self._beginnings: dict[str, Agent] = {}
        for agent in self.agents:
            for number in agent.numbers:
                if number.endswith("*"):
                    self._beginnings[number[:-1]] = agent
                else:
                    self._numbers[number] = agent

    def for_number(self, to_number: str) -> Agent:
        """The agent of a called number, written with or without `+` and spaces: the one that names it, else the one
        with the longest beginning of it, else the default one.
        """
        number = bare_number(to_number)
        if agent := self._numbers.get(number):
            return agent
        beginnings = (number[:length] for length in range(len(number), 0, -1))
        return next((self._beginnings[part] for part in beginnings if part in self._beginnings), self.default)


class _File(NamedTuple):
    written: Written
    agent: Agent


def agent_files(directory: Path) -> list[Path]:
    """The files of a folder that are agents, in order."""
    return sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")])


def load_agents(directory: Path, *, providers: Mapping[Seam, Sequence[str]] | None = None) -> AgentBook:
    """Read every `*.yaml` of a folder. Raises AgentError with all problems of all files.

    `providers` are those that there are, as far as it is known; agents may not name others.
    """
    paths = agent_files(directory)
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
    for file in files:
        for seam, index, problem in file.agent.providers.missing(providers or {}):
            where = file.written.at("providers", seam, index)
            problems.append(f"{where}: providers.{seam}[{index}]: {problem}")
    defaults = [file for file in files if file.agent.is_default]
    if len(defaults) > 1:
        others = ", ".join(file.written.at("default") for file in defaults[1:])
        problems.append(
            f"{defaults[0].written.at('default')}: only one agent can answer all other numbers, but so does {others}: "
            "give each `numbers`, and one of them `default: true`"
        )
    elif not defaults and not problems:
        problems.append(f"{directory}: no agent answers all other numbers: give one of them `default: true`")
    if problems:
        raise AgentError(*problems)
    return AgentBook({file.written.path: file.agent for file in files}, defaults[0].agent)


def _read(path: Path) -> _File:
    written = agent_yaml.read(path, typed=_JSON_PLACES)
    try:
        return _File(written, Agent.model_validate(written.document, context={FOLDER: path.parent}))
    except ValidationError as error:
        raise AgentError(*(written.problem(found) for found in error.errors())) from error


def _conflicts(files: list[_File]) -> Iterator[str]:
    names: dict[str, str] = {}
    numbers: dict[str, str] = {}
    for written, agent in files:
        where = written.at("name")
        first = names.setdefault(agent.name, where)
        if first is not where:
            yield f"{where}: the name {agent.name!r} is taken by {first}"
        for index, number in enumerate(agent.numbers):
            where = written.at("numbers", index)
            first = numbers.setdefault(number, where)
            if first is not where:
                yield f"{where}: the number {number} is answered by {first} already"
