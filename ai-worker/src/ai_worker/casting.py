"""From an agent's file to the persona that the conversation plays in one call."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ai_worker.agent_hours import Outside
from ai_worker.agents import Agent
from ai_worker.conversation.persona import Persona, Scripted, TurnTaking, VoicemailPlan
from ai_worker.conversation.scripted import protect
from ai_worker.tools import LINE_TOOLS, ToolBox


def persona_of(agent: Agent, tools: ToolBox, *, begun: datetime) -> Persona:
    """The bot of one call that began at `begun` (with its time zone): its rules as scripted answers, its tools."""

    def script(text: str) -> Scripted | None:
        rule = agent.match(text)
        if rule is None:
            return None
        say = _marked(rule.say, rule.interruptible)
        match rule.do:
            case "transfer":
                return Scripted(say, "transfer", agent.transfer[rule.to or ""])
            case "hang_up":
                return Scripted(say or agent.goodbye, "hangup")
            case "press_digits":
                return Scripted(say, "digits", rule.digits or "")
            case "say":
                return Scripted(say)

    specs = tools.specs()
    outside = agent.outside_at(begun)
    opening = _opening(agent, outside)
    greeting = agent.greeting
    if outside and outside.do == "continue":
        greeting = f"{greeting} {_marked(outside.say, outside.interruptible)}".strip()
    return Persona(
        greeting=greeting,
        language=agent.language,
        notice=agent.notice or "",
        opening=opening,
        instructions=agent.instructions.strip(),
        apology=agent.apology,
        not_possible=agent.not_possible,
        reprompt=agent.reprompt,
        silence_prompts=agent.silence_prompts,
        goodbye=agent.goodbye,
        allow_interruptions=agent.allow_interruptions,
        voicemail=VoicemailPlan(agent.answering_machine.say or "") if agent.answering_machine else None,
        fallback_number=agent.transfer.get(agent.fallback_transfer or "", ""),
        longest_call_s=agent.max_call_minutes * 60.0,
        most_turns=agent.limits.max_turns or 0,
        tools=specs,
        line_tools=LINE_TOOLS,
        filler=agent.filler,
        fillers={spec.name: filler for spec in specs if (filler := tools.filler(spec.name))},
        long_waits=agent.long_waits,
        # There is no conversation out of hours: whoever interrupts the announcement gets it again.
        script=(lambda _: opening) if opening else script,
    )


def turn_taking_of(agent: Agent, *, guesses: int) -> TurnTaking:
    """The agent's own times, where its file names any; at most so many guesses a turn."""
    options = TurnTaking(guesses=guesses)
    return replace(options, silence_prompt=agent.limits.silence_s) if agent.limits.silence_s else options


def _opening(agent: Agent, outside: Outside | None) -> Scripted | None:
    """What a caller out of hours gets in place of the greeting and of a conversation."""
    if outside is None or outside.do == "continue":
        return None
    say = _marked(outside.say, outside.interruptible)
    if outside.do == "transfer":
        return Scripted(say, "transfer", agent.transfer[outside.to or ""])
    return Scripted(say or agent.goodbye, "hangup")


def _marked(say: str | None, interruptible: bool) -> str:
    return (say or "") if interruptible else protect(say or "")
