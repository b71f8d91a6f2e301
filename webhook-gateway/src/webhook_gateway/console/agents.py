"""The agents that the running workers have, as their heartbeats tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from callbus import registry
from callbus.broker import Broker
from webhook_gateway.answers import Refusal


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
    """A number by which that agent is called, and no other. Raises Refusal."""
    known = list(agents)
    agent = next((agent for agent in known if agent["name"] == name), None)
    if agent is None:
        raise Refusal(
            404, "not_found", f"no running worker has an agent {name[:80]!r}", "GET /console/api/agents lists them"
        )
    if not agent["numbers"] and not agent["default"]:
        raise Refusal(409, "conflict", "this agent answers no number", "give it `numbers`, or make it the default one")
    # Whole numbers first; 3318480* begins many, of which others may have some. The default one has the rest.
    written: list[str] = sorted(agent["numbers"], key=lambda number: number.endswith("*")) or ["*"]
    for number in written:
        beginning = number.removesuffix("*")
        for candidate in [number] if beginning == number else _numbers_from(beginning):
            if _called_by(known, candidate) is agent:
                return candidate
    raise Refusal(409, "conflict", "other agents have all of this agent's numbers", "give it a number of its own")


def _numbers_from(beginning: str) -> Iterable[str]:
    return (beginning + "".join(digits) for more in (1, 2) for digits in product("0123456789", repeat=more))


def _called_by(agents: list[Mapping[str, Any]], number: str) -> Mapping[str, Any] | None:
    """Whom a number calls, as workers choose: who names it, who has the longest beginning of it, else the default."""
    best: tuple[int, Mapping[str, Any]] | None = None
    for agent in agents:
        for written in agent["numbers"]:
            beginning = written.removesuffix("*")
            matches = number.startswith(beginning) if beginning != written else number == written
            rank = len(beginning) if beginning != written else len(written) + 1
            if matches and (best is None or rank > best[0]):
                best = rank, agent
    return best[1] if best else next((agent for agent in agents if agent["default"]), None)
