"""The bots: one YAML file each, read and checked as a whole before the first call. See docs/agents.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError, model_validator

from ai_worker import agent_yaml
from ai_worker.agent_fields import CalledNumber, Misplaced, Name, Number, bare_number
from ai_worker.agent_hours import Hours, Outside
from ai_worker.agent_providers import ProviderOrder
from ai_worker.agent_recording import FOLDER, Recording
from ai_worker.agent_rules import Rule, plain_words
from ai_worker.agent_templates import Instructions, Spoken, call_values, fill_spoken, fill_written, is_fixed
from ai_worker.agent_tools import BUILT_INS, HttpTool, PlayHost, Tool
from ai_worker.agent_voicemail import AnsweringMachine
from ai_worker.agent_yaml import AgentError, Written
from ai_worker.conversation import scripted
from ai_worker.settings import Seam
from callbus.pcm import FRAME_MS, bytes_in

__all__ = ["Agent", "AgentBook", "AgentError", "Limits", "ProviderOrder", "load_agents"]

_JSON_PLACES: tuple[agent_yaml.Loc, ...] = (("tools", "*", "parameters"), ("tools", "*", "body"))

Minutes = Annotated[int, Field(ge=1, le=240)]


class Limits(BaseModel):
    """How long a call, and a silence of the caller (s, before each prompt and before the end), may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_call_minutes: Minutes | None = None
    max_turns: Annotated[int, Field(ge=1, le=1000)] | None = None
    silence_s: Annotated[float, Field(ge=2, le=120)] | None = None


class Agent(BaseModel):
    """One bot: what it says, what it may do, which numbers it answers (E.164 without `+`, or internal ones)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    numbers: tuple[CalledNumber, ...] = ()
    default: bool = False
    greeting: Spoken
    notice: Spoken | None = None
    """Said right after the greeting, and never interrupted: what the law wants said."""
    instructions: Instructions
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")] = "en"
    voice: str = ""
    providers: ProviderOrder = ProviderOrder()
    apology: Spoken = "I am sorry, something went wrong on my side."
    apology_file: Recording | None = None
    """The apology, recorded beforehand: it is heard when no voice works, and whenever it is said."""
    not_possible: Spoken = "I am sorry, that is not possible right now. What else can I do for you?"
    """Said when what it has announced (a transfer, keys, a file) can't be done."""
    reprompt: Spoken = "Sorry, I didn't catch that."
    silence_prompts: tuple[Spoken, Spoken] = ("Are you still there?", "I am still here if you need anything.")
    goodbye: Spoken = "I will hang up now. Goodbye."
    answering_machine: AnsweringMachine | None = None
    """None: no difference is made."""
    transfer: dict[Name, Number] = Field(default_factory=dict)
    fallback_transfer: Name | None = None
    hours: Hours | None = None
    tools: tuple[Tool, ...] = ()
    play_hosts: tuple[PlayHost, ...] = ()
    allow_interruptions: bool = True
    recording: bool = True
    call_minutes: Minutes | None = Field(default=None, alias="max_call_minutes")
    limits: Limits = Limits()
    rules: tuple[Rule, ...] = ()

    _call: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        self._check_transfers()
        self._check_tools()
        if self.call_minutes is not None and self.limits.max_call_minutes is not None:
            raise Misplaced(("max_call_minutes",), "is in `limits` as well; write it there only")
        return self

    def _check_transfers(self) -> None:
        wanted: list[tuple[agent_yaml.Loc, str | None]] = [(("fallback_transfer",), self.fallback_transfer)]
        wanted += [(("rules", index, "to"), rule.to) for index, rule in enumerate(self.rules)]
        wanted += [(("hours", "outside", "to"), self.hours.outside.to)] if self.hours else []
        for loc, name in wanted:
            if name is not None and name not in self.transfer:
                known = ", ".join(self.transfer) or "nothing"
                raise Misplaced(loc, f"{name!r} is not in `transfer`, which has {known}")

    def _check_tools(self) -> None:
        names = self.tool_names
        for index, name in enumerate(names):
            if name in names[:index]:
                raise Misplaced(("tools", index), f"there is a tool {name!r} already")
            if name == "transfer" and not self.transfer:
                raise Misplaced(("tools", index), "to transfer, it needs `transfer`, with a name for each number")
            if name == "play_audio" and not self.play_hosts:
                raise Misplaced(("tools", index), "to play audio, it needs `play_hosts`, whose files may be played")
        if self.play_hosts and "play_audio" not in names:
            raise Misplaced(("play_hosts",), "is for the tool `play_audio`, which is not in `tools`")

    @property
    def is_default(self) -> bool:
        """Whether it answers the numbers that no agent names."""
        return self.default or not self.numbers

    @property
    def language_code(self) -> str:
        """ISO 639-1, as the providers take it: without the region."""
        return self.language.partition("-")[0]

    @property
    def max_call_minutes(self) -> int:
        """The longest call, in minutes."""
        return self.limits.max_call_minutes or self.call_minutes or 30

    @property
    def tool_names(self) -> tuple[str, ...]:
        return tuple(tool.name if isinstance(tool, HttpTool) else tool for tool in self.tools)

    @property
    def http_tools(self) -> tuple[HttpTool, ...]:
        return tuple(tool for tool in self.tools if isinstance(tool, HttpTool))

    @property
    def built_ins(self) -> tuple[str, ...]:
        """The built-in tools that it may use, always in the same order."""
        return tuple(name for name in BUILT_INS if name in self.tools)

    @property
    def call_values(self) -> Mapping[str, str]:
        """What the placeholders stand for in this call; empty before `for_call`."""
        return self._call

    @property
    def fixed_texts(self) -> tuple[str, ...]:
        """What it says in the same words in every call: worth making before the first one."""
        said = [self.greeting, self.notice, self.apology, self.not_possible, self.reprompt, self.goodbye]
        said += self.silence_prompts
        said += [rule.say for rule in self.rules]
        said += [tool.filler for tool in self.http_tools]
        said += [self.hours.outside.say] if self.hours else []
        said += [self.answering_machine.say] if self.answering_machine else []
        return tuple(fill_spoken(text, {}) for text in said if text and is_fixed(text))

    def recorded(self, sentence: str, sample_rate: int) -> bytes | None:
        """A sentence that was recorded beforehand, s16le mono at `sample_rate` Hz; None for one that wasn't."""
        if self.apology_file is None:
            return None
        first, *rest = [part.text for part in scripted.sentences(self.apology)]
        if sentence == first:
            return self.apology_file.pcm(sample_rate)
        # The file holds all of the apology: it was heard with its first sentence.
        return bytes(bytes_in(FRAME_MS, sample_rate)) if sentence in rest else None

    def match(self, text: str) -> Rule | None:
        """The first rule that the caller's words call for."""
        words = plain_words(text)
        return next((rule for rule in self.rules if rule.matches(words)), None)

    def open_at(self, moment: datetime) -> bool:
        """Whether `moment` is in its hours; always, if it has none. Raises ValueError for one without a time zone."""
        return self.hours is None or self.hours.open_at(moment)

    def outside_at(self, moment: datetime) -> Outside | None:
        """What a call at `moment` gets that is out of hours; None within them."""
        return None if self.hours is None or self.hours.open_at(moment) else self.hours.outside

    def for_call(self, call: Mapping[str, str]) -> Agent:
        """The agent of one call: a copy whose texts are filled in from the call's hash. Its texts are templates no
        more, so this is for agents of the book only.
        """
        values = call_values(call)

        def say(text: str) -> str:
            return fill_spoken(text, values)

        def maybe(text: str | None) -> str | None:
            return None if text is None else fill_spoken(text, values)

        first, second = self.silence_prompts
        update: dict[str, Any] = {
            "greeting": say(self.greeting),
            "notice": maybe(self.notice),
            "instructions": fill_written(self.instructions, values),
            "apology": say(self.apology),
            "not_possible": say(self.not_possible),
            "reprompt": say(self.reprompt),
            "silence_prompts": (say(first), say(second)),
            "goodbye": say(self.goodbye),
            "rules": tuple(rule.model_copy(update={"say": maybe(rule.say)}) for rule in self.rules),
            "tools": tuple(
                tool.model_copy(update={"filler": maybe(tool.filler)}) if isinstance(tool, HttpTool) else tool
                for tool in self.tools
            ),
        }
        if machine := self.answering_machine:
            update["answering_machine"] = machine.model_copy(update={"say": maybe(machine.say)})
        if self.hours:
            outside = self.hours.outside.model_copy(update={"say": maybe(self.hours.outside.say)})
            update["hours"] = self.hours.model_copy(update={"outside": outside})
        filled = self.model_copy(update=update)
        filled._call = values
        return filled


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
