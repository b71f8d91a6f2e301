"""From an agent's file to the persona that the conversation plays in one call."""

from __future__ import annotations

from datetime import datetime

from ai_worker.agent_hours import Outside
from ai_worker.agents import Agent
from ai_worker.conversation.persona import Persona, Scripted, TurnTaking
from ai_worker.tools import ToolBox


def persona_of(agent: Agent, tools: ToolBox, *, begun: datetime) -> Persona:
    """The bot of one call that began at `begun` (with its time zone): its rules as scripted answers, its tools."""

    def script(text: str) -> Scripted | None:
        rule = agent.match(text)
        if rule is None:
            return None
        match rule.do:
            case "transfer":
                return Scripted(rule.say or "", "transfer", agent.transfer[rule.to or ""])
            case "hang_up":
                return Scripted(rule.say or agent.goodbye, "hangup")
            case "press_digits":
                return Scripted(rule.say or "", "digits", rule.digits or "")
            case "say":
                return Scripted(rule.say or "")

    specs = tools.specs()
    outside = agent.outside_at(begun)
    greeting = agent.greeting
    if outside and outside.do == "continue":
        greeting = f"{greeting} {outside.say or ''}".strip()
    return Persona(
        greeting=greeting,
        language=agent.language_code,
        notice=agent.notice or "",
        opening=_opening(agent, outside),
        instructions=agent.instructions.strip(),
        apology=agent.apology,
        reprompt=agent.reprompt,
        silence_prompts=agent.silence_prompts,
        goodbye=agent.goodbye,
        allow_interruptions=agent.allow_interruptions,
        fallback_number=agent.transfer.get(agent.fallback_transfer or "", ""),
        longest_call_s=agent.max_call_minutes * 60.0,
        most_turns=agent.limits.max_turns or 0,
        tools=specs,
        fillers={spec.name: filler for spec in specs if (filler := tools.filler(spec.name))},
        script=script,
    )


def turn_taking_of(agent: Agent) -> TurnTaking:
    """The agent's own times, where its file names any."""
    return TurnTaking(silence_prompt=agent.limits.silence_s) if agent.limits.silence_s else TurnTaking()


def _opening(agent: Agent, outside: Outside | None) -> Scripted | None:
    """What a caller out of hours gets in place of the greeting and of a conversation."""
    if outside is None or outside.do == "continue":
        return None
    if outside.do == "transfer":
        return Scripted(outside.say or "", "transfer", agent.transfer[outside.to or ""])
    return Scripted(outside.say or agent.goodbye, "hangup")
