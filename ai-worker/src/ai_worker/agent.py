"""One bot: what it says, what it may do, which numbers it answers; checked as it is made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from ai_worker.agent_fields import CalledNumber, Misplaced, Name, Number
from ai_worker.agent_hours import Hours, Outside
from ai_worker.agent_providers import ProviderOrder
from ai_worker.agent_recording import Recording
from ai_worker.agent_rules import Rule, plain_words
from ai_worker.agent_templates import Instructions, Spoken, call_values, fill_spoken, fill_written, is_fixed
from ai_worker.agent_texts import AgentTexts
from ai_worker.agent_tools import BUILT_INS, HttpTool, PlayHost, Tool
from ai_worker.agent_voicemail import AnsweringMachine
from ai_worker.agent_yaml import Loc
from ai_worker.conversation import scripted
from callbus.pcm import FRAME_MS, bytes_in

Minutes = Annotated[int, Field(ge=1, le=240)]


class Limits(BaseModel):
    """How long a call, and a silence of the caller (s, before each prompt and before the end), may be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_call_minutes: Minutes | None = None
    max_turns: Annotated[int, Field(ge=1, le=1000)] | None = None
    silence_s: Annotated[float, Field(ge=2, le=120)] | None = None


class Agent(AgentTexts):
    """The whole of an agent's file; numbers are E.164 without `+`, or internal ones."""

    name: Name
    numbers: tuple[CalledNumber, ...] = ()
    default: bool = False
    greeting: Spoken
    notice: Spoken | None = None
    """Said right after the greeting, and never interrupted: what the law wants said."""
    instructions: Instructions
    voice: str = ""
    providers: ProviderOrder = ProviderOrder()
    apology_file: Recording | None = None
    """The apology, recorded beforehand: it is heard when no voice works, and whenever it is said."""
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
        wanted: list[tuple[Loc, str | None]] = [(("fallback_transfer",), self.fallback_transfer)]
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
        said = [self.greeting, self.notice, *self.own_texts]
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

        update: dict[str, Any] = {
            **self.own_texts_said(say),
            "greeting": say(self.greeting),
            "notice": maybe(self.notice),
            "instructions": fill_written(self.instructions, values),
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
