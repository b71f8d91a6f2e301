"""From an agent's file to the persona of one call."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from ai_worker.agents import load_agents
from ai_worker.casting import persona_of, turn_taking_of
from ai_worker.conversation.persona import Persona, Scripted, TurnTaking
from ai_worker.tools import ToolBox
from support.conversation_world import World

AGENT = """\
name: shop
default: true
greeting: Hello, this is the shop.
notice: This call is recorded.
instructions: The caller is {caller_number}.
transfer: {human: "33187654321"}
limits: {max_turns: 12, silence_s: 6}
tools: [transfer, hang_up]
hours:
  timezone: Europe/Paris
  open: {mon-fri: "09:00-18:00"}
  outside: OUTSIDE
rules:
  - {when: [a person], do: transfer, to: human, say: One moment.}
  - {when: [goodbye], do: hang_up}
  - {when: [extension], do: press_digits, digits: "12#"}
"""
OPEN, CLOSED = datetime(2026, 11, 23, 10, 0, tzinfo=UTC), datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


async def persona(tmp_path: Path, begun: datetime, outside: str = "{say: We are closed., do: hang_up}") -> Persona:
    (tmp_path / "shop.yaml").write_text(AGENT.replace("OUTSIDE", outside), encoding="utf-8")
    agent = load_agents(tmp_path).default.for_call({"from_number": "33612345678"})
    assert turn_taking_of(agent, guesses=2) == TurnTaking(silence_prompt=6, guesses=2)
    async with httpx.AsyncClient() as http:
        return persona_of(agent, ToolBox(agent, http, {}, session="c1"), begun=begun)


async def test_within_the_hours(tmp_path: Path) -> None:
    cast = await persona(tmp_path, OPEN)
    assert (cast.greeting, cast.notice, cast.opening) == ("Hello, this is the shop.", "This call is recorded.", None)
    assert "33612345678" in cast.instructions
    assert cast.most_turns == 12
    assert [spec.name for spec in cast.tools] == ["transfer", "hang_up"]
    assert cast.script("Could I speak to a person?") == Scripted("One moment.", "transfer", "33187654321")
    assert cast.script("Goodbye!") == Scripted("I will hang up now. Goodbye.", "hangup")
    assert cast.script("The extension, please.") == Scripted("", "digits", "12#")
    assert cast.script("Something else.") is None


@pytest.mark.parametrize(
    ("outside", "opening"),
    [
        ("{say: We are closed., do: hang_up}", Scripted("We are closed.", "hangup")),
        ("{do: transfer, to: human}", Scripted("", "transfer", "33187654321")),
    ],
)
async def test_outside_the_hours(tmp_path: Path, outside: str, opening: Scripted) -> None:
    assert (await persona(tmp_path, CLOSED, outside)).opening == opening


async def test_what_can_not_be_interrupted_is_marked(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(
        AGENT.replace("OUTSIDE", "{say: We are closed., interruptible: false}").replace(
            "say: One moment.", "say: One moment. This is recorded., interruptible: false"
        ),
        encoding="utf-8",
    )
    agent = load_agents(tmp_path).default
    async with httpx.AsyncClient() as http:
        tools = ToolBox(agent, http, {}, session="c1")
        opening = persona_of(agent, tools, begun=CLOSED).opening
        transfer = persona_of(agent, tools, begun=OPEN).script("Could I speak to a person?")
    assert opening == Scripted("<<We are closed.>>", "hangup")
    assert transfer
    assert transfer.say == "<<One moment. This is recorded.>>"


async def test_whoever_talks_over_the_announcement_outside_the_hours_gets_no_conversation(tmp_path: Path) -> None:
    world = World(await persona(tmp_path, CLOSED, "{say: We are closed. Please call again tomorrow., do: hang_up}"))
    world.until_heard("We are closed.")
    world.caller.say("Hello? I need a cake.")
    world.until_heard("We are closed. We are closed. Please call again tomorrow.")
    world.run()
    assert world.finish
    assert world.finish.outcome == "bot_ended"
    assert world.thoughts == []


async def test_a_bot_that_goes_on_outside_the_hours_says_so_after_its_greeting(tmp_path: Path) -> None:
    cast = await persona(tmp_path, CLOSED, "{say: Nobody is in the shop now., do: continue}")
    assert cast.opening is None
    assert cast.greeting == "Hello, this is the shop. Nobody is in the shop now."
    assert cast.notice
