"""What a scripted call needs to know of the agents: which number reaches one, and whom it puts callers through to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from voicebot_cli.bots.spec_yaml import Scripted
from voicebot_cli.errors import BotTestError

UNLISTED = "33100000000"
"""Called to reach an agent that has no number of its own and answers all others."""


@dataclass(frozen=True, slots=True)
class KnownAgent:
    """Numbers are digits only."""

    name: str
    numbers: tuple[str, ...]
    is_default: bool
    transfer: dict[str, str]


@dataclass(frozen=True, slots=True)
class AgentBook:
    """The agents of a folder, which `ai-worker check-agents` has found right."""

    directory: Path
    agents: tuple[KnownAgent, ...]

    def callee(self, test: Scripted) -> tuple[str, KnownAgent]:
        """The number to call, and who answers. Raises BotTestError."""
        call = test.call
        if call.agent is not None:
            agent = next((agent for agent in self.agents if agent.name == call.agent), None)
            if agent is None:
                names = ", ".join(agent.name for agent in self.agents) or "none at all"
                raise BotTestError(
                    f"{test.path}:{test.line('agent')}: agent: {call.agent!r} is none of {self.directory}: {names}"
                )
            if not agent.numbers and not agent.is_default:
                raise BotTestError(f"{test.path}:{test.line('agent')}: agent: no number reaches {agent.name}")
            return (agent.numbers[0] if agent.numbers else self._unlisted()), agent
        called = call.called or self._unlisted()
        answering = [agent for agent in self.agents if called in agent.numbers]
        answering += [agent for agent in self.agents if agent.is_default]
        if not answering and len(self.agents) == 1:
            answering = list(self.agents)
        if not answering:
            loc = "called" if call.called else "name"
            raise BotTestError(f"{test.path}:{test.line(loc)}: no agent of {self.directory} answers {called}")
        return called, answering[0]

    def _unlisted(self) -> str:
        taken = {number for agent in self.agents for number in agent.numbers}
        return next(number for offset in range(len(taken) + 1) if (number := str(int(UNLISTED) + offset)) not in taken)


def transfer_number(test: Scripted, agent: KnownAgent, index: int, wanted: str) -> str:
    """The digits that `transfers_to` of the turn `index` means. Raises BotTestError for a name that the agent lacks."""
    if wanted in agent.transfer:
        return agent.transfer[wanted]
    digits = _digits(wanted)
    if digits and not re.search(r"[^\d+ .()-]", wanted):
        return digits
    known = ", ".join(agent.transfer) or "none"
    line = test.line("turns", index, "expect", "transfers_to")
    what = f"neither a number nor a `transfer` name of {agent.name}: {known}"
    raise BotTestError(f"{test.path}:{line}: transfers_to: {wanted!r} is {what}")


def load_book(directory: Path) -> AgentBook:
    """The agents' files of a folder. Raises BotTestError."""
    agents = []
    for path in sorted([*directory.glob("*.yaml"), *directory.glob("*.yml")]):
        try:
            document: Any = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise BotTestError(f"{path}:1: can't be read: {error}") from error
        if not isinstance(document, dict):
            raise BotTestError(f"{path}:1: not an agent; see `ai-worker check-agents {directory}`")
        numbers = document.get("numbers") or []
        transfer = document.get("transfer") or {}
        agents.append(
            KnownAgent(
                str(document.get("name", path.stem)),
                tuple(_digits(str(number)) for number in numbers) if isinstance(numbers, list) else (),
                str(document.get("default", "")).lower() == "true",
                {str(name): _digits(str(to)) for name, to in transfer.items()} if isinstance(transfer, dict) else {},
            )
        )
    return AgentBook(directory, tuple(agents))


def _digits(text: str) -> str:
    return re.sub(r"\D", "", text)
