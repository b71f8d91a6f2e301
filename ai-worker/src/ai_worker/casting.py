"""From an agent's file to the persona that the conversation plays in one call."""

from __future__ import annotations

from ai_worker.agents import Agent
from ai_worker.conversation.persona import Persona, Scripted


def persona_of(agent: Agent) -> Persona:
    """The bot of an agent's file, its rules as scripted answers."""

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

    return Persona(
        greeting=agent.greeting,
        instructions=agent.instructions.strip(),
        apology=agent.apology,
        reprompt=agent.reprompt,
        silence_prompts=agent.silence_prompts,
        goodbye=agent.goodbye,
        allow_interruptions=agent.allow_interruptions,
        fallback_number=agent.transfer.get(agent.fallback_transfer or "", ""),
        longest_call_s=agent.max_call_minutes * 60.0,
        script=script,
    )
