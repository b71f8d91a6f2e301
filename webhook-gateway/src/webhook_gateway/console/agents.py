"""The agents that the running workers have, as their heartbeats tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from callbus import registry
from callbus.broker import Broker
from webhook_gateway.answers import Refusal

NUMBER_OF_THE_DEFAULT = "0"
"""Called for the default agent that has no number of its own: nobody else's."""


async def known(broker: Broker) -> list[dict[str, Any]]:
    """Name, numbers and language of each. Raises BusUnavailable."""
    return of(await registry.running(broker))


def of(services: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The agents in some heartbeats, by name."""
    found: dict[str, dict[str, Any]] = {}
    for service in services:
        told = service.get("agents")
        for agent in told if service.get("kind") == "worker" and isinstance(told, list) else []:
            if isinstance(agent, dict) and isinstance(agent.get("name"), str):
                numbers = [str(number) for number in agent.get("numbers") or []]
                found.setdefault(
                    agent["name"],
                    {
                        "name": agent["name"],
                        "numbers": numbers,
                        "language": agent.get("language"),
                        "default": bool(agent.get("default")),
                    },
                )
    return [found[name] for name in sorted(found)]


def number_of(agents: Iterable[Mapping[str, Any]], name: str) -> str:
    """A number by which that agent is called. Raises Refusal."""
    agent = next((agent for agent in agents if agent["name"] == name), None)
    if agent is None:
        raise Refusal(
            404, "not_found", f"no running worker has an agent {name[:80]!r}", "GET /console/api/agents lists them"
        )
    numbers: list[str] = agent["numbers"]
    # One whole number first; 3318480* is the beginning of many.
    number = min(numbers, key=lambda number: number.endswith("*"), default="")
    if number:
        return number.removesuffix("*") + "0" if number.endswith("*") else number
    if not agent["default"]:
        raise Refusal(409, "conflict", "this agent answers no number", "give it `numbers`, or make it the default one")
    return NUMBER_OF_THE_DEFAULT
