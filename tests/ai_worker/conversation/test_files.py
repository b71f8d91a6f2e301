"""A file that the bot has put on the line: nobody says how long it is. On virtual time."""

from __future__ import annotations

import pytest

from ai_worker.conversation import actions as act
from ai_worker.conversation.persona import Persona, Scripted
from support.conversation_world import Answer, World

URL = "https://cdn.example.com/music.mp3"


def playing(*, crashes: frozenset[int] = frozenset()) -> World:
    """A call in which the caller has asked for music, and hears it."""

    def script(text: str) -> Scripted | None:
        return Scripted("Here you are.", "play", URL) if "music" in text else None

    persona = Persona("Hello.", instructions="You are a radio.", script=script)
    world = World(persona, answers=lambda _: Answer("Very well, I have stopped it."), crashes=crashes).until_turn()
    world.caller.say("Some music, please.")
    world.until(lambda: ("play", "done") in world.action_states)
    return world


def breaks(world: World) -> list[float]:
    return [at for at, action in world.actions if isinstance(action, act.StopSpeaking)]


def test_the_caller_stops_it_by_speaking() -> None:
    world = playing()
    world.run(5.0)
    began = world.now
    world.caller.say("Stop it, please.")
    world.until_heard("I have stopped it.")
    assert [at - began for at in breaks(world)] == [pytest.approx(0.3, abs=0.05)]


def test_a_word_that_is_too_short_to_interrupt_stops_it_when_it_is_answered() -> None:
    world = playing()
    world.caller.say("Stop.", seconds=0.25, after=2.0)
    world.until_heard("I have stopped it.")
    assert len(breaks(world)) == 1


def test_the_bot_does_not_talk_over_it_too_soon_nor_for_ever_stay_silent() -> None:
    world = playing()
    world.run(29.0)
    assert world.heard == "Hello. Here you are."
    world.until_heard(world.persona.silence_prompts[0], limit=20.0)
    assert len(breaks(world)) == 1


def test_who_takes_over_knows_that_it_may_be_playing() -> None:
    world = playing(crashes=frozenset({len(playing().entries)}))
    world.run(20.0)
    assert len(world.workers) == 2
    assert world.heard == "Hello. Here you are."
    world.caller.say("Stop it, please.")
    world.until_heard("I have stopped it.")
    assert len(breaks(world)) == 1
