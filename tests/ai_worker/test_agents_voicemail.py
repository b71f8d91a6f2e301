"""Agents' files: answering machines, and what can't be interrupted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from ai_worker.agents import AgentError, load_agents
from ai_worker.casting import persona_of
from ai_worker.conversation.persona import Persona, VoicemailPlan
from ai_worker.tools import ToolBox, line

GOOD = "name: lib\ngreeting: Hello.\ninstructions: Be brief.\ntools: [hang_up]\n"


async def persona(tmp_path: Path, more: str) -> Persona:
    (tmp_path / "a.yaml").write_text(GOOD + more, encoding="utf-8")
    agent = load_agents(tmp_path).default
    assert set(agent.fixed_texts) >= {agent.greeting}
    mine = agent.for_call({"from_number": "33612345678"})
    async with httpx.AsyncClient() as http:
        return persona_of(mine, ToolBox(mine, http, {}, session="c1"), begun=datetime.now(UTC))


@pytest.mark.parametrize(
    ("more", "plan"),
    [
        ("", None),
        ("answering_machine: {}\n", VoicemailPlan()),
        ("answering_machine: {then: hang_up}\n", VoicemailPlan()),
        (
            "answering_machine: {then: leave_message, say: 'We called {caller_number}.'}\n",
            VoicemailPlan("We called 3 3 6, 1 2 3, 4 5 6, 7 8."),
        ),
    ],
)
async def test_what_a_machine_gets(tmp_path: Path, more: str, plan: VoicemailPlan | None) -> None:
    assert (await persona(tmp_path, more)).voicemail == plan


@pytest.mark.parametrize(
    ("more", "line_number", "said"),
    [
        ("answering_machine: {then: leave_message}\n", 5, "needs `say`"),
        ("answering_machine: {say: Hello.}\n", 5, "belongs to `then: leave_message`"),
        ("answering_machine: {then: chat}\n", 5, "chat"),
        ("goodbye: Bye <<now.\n", 5, "<< has no partner"),
        ("rules:\n  - when: [hi]\n    say: Hello >> you.\n", 7, ">> has no partner"),
        ("rules:\n  - when: [hi]\n    say: Hi.\n    interruptible: perhaps\n", 8, "interruptible"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, more: str, line_number: int, said: str) -> None:
    (tmp_path / "a.yaml").write_text(GOOD + more, encoding="utf-8")
    with pytest.raises(AgentError) as caught:
        load_agents(tmp_path)
    [problem] = caught.value.problems
    assert f"a.yaml:{line_number}:" in problem
    assert said in problem


async def test_instructions_may_have_angle_brackets(tmp_path: Path) -> None:
    cast = await persona(tmp_path, "")
    assert cast.not_possible.startswith("I am sorry")
    (tmp_path / "a.yaml").write_text(GOOD.replace("Be brief.", "Say << for left."), encoding="utf-8")
    assert "<<" in load_agents(tmp_path).default.instructions


def test_the_model_can_not_make_its_words_uninterruptible(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD, encoding="utf-8")
    asked = line.request(load_agents(tmp_path).default, "hang_up", '{"say": "<<Now listen to me.>>"}')
    assert isinstance(asked, line.LineRequest)
    assert asked.say == "Now listen to me."
