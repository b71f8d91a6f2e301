"""Nobody speaks: the bot asks, asks again, and ends the call. On virtual time."""

from __future__ import annotations

import pytest

from ai_worker.conversation.persona import Persona
from support.conversation_world import START, Answer, World

GREETING = "Hello, this is the library. How can I help you?"


def prompts(world: World) -> list[float]:
    """How long it was silent before each of the bot's utterances."""
    return [length for _, length in world.silences() if length > 2.0]


def test_a_silent_caller_is_asked_after_8_16_and_24_seconds_of_silence_and_then_hung_up_on() -> None:
    world = World().run()
    assert world.heard == (
        f"{GREETING} Are you still there? I am still here if you need anything. I will hang up now. Goodbye."
    )
    assert prompts(world) == pytest.approx([8.0, 8.0, 8.0], abs=0.3)
    assert world.finish
    assert world.finish.outcome == "bot_ended"


def test_an_answer_begins_the_silence_anew() -> None:
    world = World(answers=lambda _: Answer("Take your time.")).until_heard("still there?").until_turn()
    world.caller.say("Yes, I am looking for my card.", after=1.0)
    world.until_heard("Take your time.").until_turn()
    began = world.now
    world.until_heard("I am still here if you need anything.")
    assert world.heard.count("Are you still there?") == 2
    assert world.now - began < 24.0


def test_the_bot_does_not_ask_while_the_caller_speaks_or_presses_keys() -> None:
    world = World(answers=lambda _: Answer("Thank you.")).until_turn()
    world.caller.say(" ".join(["word"] * 40), after=7.0)
    world.until_heard("Thank you.").until_turn()
    world.caller.press("1234567", after=7.0, apart=1.5)
    world.until(lambda: len(world.thoughts) == 2)
    assert "still there" not in world.heard


def test_speech_without_words_is_asked_for_again_once() -> None:
    world = World().until_turn()
    world.caller.noise(1.5)
    world.caller.noise(1.5, after=6.0)
    world.until_heard("Are you still there?")
    assert world.heard == f"{GREETING} Sorry, I did not catch that. Are you still there?"


def test_nothing_to_say_is_silence_that_ends() -> None:
    world = World(Persona("", silence_prompts=(), goodbye="")).run()
    assert world.heard == ""
    assert world.finish
    assert world.finish.outcome == "bot_ended"
    assert world.now - START == pytest.approx(8.0, abs=0.5)
