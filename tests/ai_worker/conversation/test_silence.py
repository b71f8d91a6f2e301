"""Nobody speaks: the bot asks, asks again, and ends the call. On virtual time."""

from __future__ import annotations

import pytest

from ai_worker.conversation.persona import Persona
from callbus import transcript
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


SORRY = "Sorry, I did not catch that."


@pytest.mark.parametrize("line", [True, False], ids=["line lost", "audio lost"])
def test_what_nobody_could_hear_is_asked_for_again_at_once(line: bool) -> None:
    world = World(answers=lambda _: Answer("Two hours.")).until_turn()
    (world.lose_line if line else world.lose_audio)(3.0)
    world.caller.say("Can I borrow a laptop?", after=0.5)
    back = world.now + 3.0
    world.until_heard(SORRY).until_turn()
    (asked,) = [entry for entry in world.written(transcript.BotSays) if entry.text == SORRY]
    assert back < asked.at < back + 2.0
    world.caller.say("I said, can I borrow a laptop?", after=0.5)
    world.until_heard("Two hours.").until_turn()
    assert world.heard == f"{GREETING} {SORRY} Two hours."
    world.until_heard("Are you still there?")


def test_a_successor_asks_again_too() -> None:
    world = World(answers=lambda _: Answer("Two hours.")).until_turn()
    world.lose_audio(2.0)
    world.caller.say("Can I borrow a laptop?", after=0.2)
    world.later(1.0, world.crash)
    world.until_heard(SORRY).until_turn()
    (asked,) = [entry for entry in world.written(transcript.BotSays) if entry.text == SORRY]
    assert asked.at < START + 12.0, world.story()


def test_a_caller_who_speaks_again_by_himself_is_not_asked_to() -> None:
    world = World(answers=lambda _: Answer("Two hours.")).until_turn()
    world.lose_audio(2.0)
    world.caller.say("I can't hear you, can I borrow a laptop?", after=2.5)
    world.until_heard("Two hours.")
    assert world.heard == f"{GREETING} Two hours."


@pytest.mark.parametrize(("seconds", "whose_turn"), [(0.3, "caller"), (0.8, "bot")])
def test_only_so_much_that_it_may_have_been_words_and_only_in_the_callers_turn(seconds: float, whose_turn: str) -> None:
    world = World().until_heard("library.")
    if whose_turn == "caller":
        world.until_turn()
    world.lose_audio(seconds)
    world.until_heard("Are you still there?")
    assert world.heard == f"{GREETING} Are you still there?"
    assert world.notes == [f"{1000 * seconds:.0f} ms of the caller's audio were lost"]


def test_nothing_to_say_is_silence_that_ends() -> None:
    world = World(Persona("", silence_prompts=(), goodbye="")).run()
    assert world.heard == ""
    assert world.finish
    assert world.finish.outcome == "bot_ended"
    assert world.now - START == pytest.approx(8.0, abs=0.5)
