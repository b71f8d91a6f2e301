"""A library's bot on virtual time: what most conversation tests call."""

from __future__ import annotations

import dataclasses

from ai_worker.conversation.persona import Persona, Scripted
from support.conversation_world import Answer, World

GREETING = "Hello, this is the library. How can I help you?"
LONG = "Members can borrow a laptop for two hours at the front desk. It is free of charge, and you only need your card."
ANNOUNCEMENT = "Of course. I will put you through to a colleague now."


def script(text: str) -> Scripted | None:
    match text.lower():
        case "goodbye.":
            return Scripted("Thank you for calling. Goodbye.", "hangup")
        case "a human, please.":
            return Scripted(ANNOUNCEMENT, "transfer", "33187654321")
        case "when are you open?":
            return Scripted("We are open from nine to seven.")
        case "press one.":
            return Scripted("", "digits", "1")
        case "press two.":
            return Scripted("I press it now, one moment please.", "digits", "2")
    return None


PERSONA = Persona(GREETING, instructions="You are a library.", script=script)
UNINTERRUPTIBLE = Persona(GREETING, allow_interruptions=False)


def library(**settings: object) -> World:
    """A call to the library; `settings` are fields of World."""
    return dataclasses.replace(World(PERSONA, answers=lambda _: Answer(LONG)), **settings)  # type: ignore[arg-type]


def last_thought(world: World) -> list[tuple[str, str]]:
    """What the model was shown last: (role, text)."""
    return [(message.role, message.content) for message in world.thoughts[-1].messages]
