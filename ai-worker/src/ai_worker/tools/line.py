"""Built-in tools: from the language model's words to a request that the line can carry out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ai_worker.agents import Agent
from ai_worker.conversation.scripted import plain
from ai_worker.providers.base import ToolSpec
from ai_worker.tools.results import Unfit, parse_arguments

# Anchored to plain characters, so that no parser of the media server's can read another host in it.
_PLAYABLE = re.compile(r"https://([A-Za-z0-9.-]+)(/[A-Za-z0-9._~!$&'()*+,;=:/%-]*)(\?[A-Za-z0-9._~!$&'()*+,;=:/%?-]*)?")

LINE_TOOLS = frozenset({"transfer", "press_digits", "play_audio", "hang_up"})
"""Those that want something done on the line, and do nothing else."""

_SAY = {"type": "string", "maxLength": 300, "description": "What to tell the caller first, in the caller's language"}


@dataclass(frozen=True, slots=True)
class LineRequest:
    """What to do once `say` (which may be empty) was heard. `argument`: the number, the digits or the URL."""

    kind: Literal["transfer", "digits", "play", "hangup"]
    argument: str = ""
    say: str = ""


@dataclass(frozen=True, slots=True)
class MessageTaken:
    """A message that the caller left, for the call's record."""

    text: str
    name: str = ""
    number: str = ""


BuiltInRequest: TypeAlias = LineRequest | MessageTaken


def spec(agent: Agent, name: str) -> ToolSpec:
    """A built-in tool as the language model sees it."""
    match name:
        case "transfer":
            to = {"type": "string", "enum": list(agent.transfer), "description": "Who to put the caller through to"}
            return _spec(
                name, "Put the caller through to a person. This ends your part.", {"to": to, "say": _SAY}, "to"
            )
        case "press_digits":
            digits = {"type": "string", "pattern": "[0-9*#A-D]{1,32}", "description": "The keys, such as 12#"}
            return _spec(name, "Press keys on the telephone's keypad.", {"digits": digits}, "digits")
        case "play_audio":
            hosts = ", ".join(agent.play_hosts)
            url = {"type": "string", "maxLength": 500, "description": f"An https URL on {hosts}"}
            return _spec(name, "Play an audio file to the caller.", {"url": url}, "url")
        case "hang_up":
            return _spec(name, "End the call, when the caller has nothing more to say.", {"say": _SAY})
        case "take_message":
            properties = {
                "message": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1000,
                    "description": "In the caller's words",
                },
                "name": {"type": "string", "maxLength": 100, "description": "Who the message is from"},
                "number": {"type": "string", "maxLength": 32, "description": "The number to call back"},
            }
            return _spec(name, "Write down a message that the caller leaves for somebody.", properties, "message")
    raise Unfit(f"there is no tool {name!r}")


def request(agent: Agent, name: str, arguments: str) -> BuiltInRequest:
    """What a call of a built-in tool asks for. Raises Unfit."""
    given = parse_arguments(spec(agent, name).parameters, arguments)
    # Only the agent's file says what can't be interrupted.
    say = " ".join(plain(given.get("say", "")).split())
    match name:
        case "transfer":
            return LineRequest("transfer", agent.transfer[given["to"]], say)
        case "press_digits":
            return LineRequest("digits", given["digits"])
        case "play_audio":
            return LineRequest("play", _playable(agent, given["url"]))
        case "hang_up":
            return LineRequest("hangup", say=say or agent.goodbye)
    if not given["message"].strip():
        raise Unfit("the message is empty")
    return MessageTaken(given["message"].strip(), given.get("name", "").strip(), given.get("number", "").strip())


def _playable(agent: Agent, url: str) -> str:
    found = _PLAYABLE.fullmatch(url)
    if found is None or found[1].lower() not in agent.play_hosts:
        raise Unfit(f"only files at https://host/… can be played, where host is one of {', '.join(agent.play_hosts)}")
    return url


def _spec(name: str, description: str, properties: dict[str, Any], *required: str) -> ToolSpec:
    parameters: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return ToolSpec(name, description, {**parameters, "required": list(required)} if required else parameters)
