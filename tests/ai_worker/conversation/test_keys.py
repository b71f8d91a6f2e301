"""The keys that a caller or the bot presses. On virtual time."""

from __future__ import annotations

import pytest

from ai_worker.conversation import actions as act
from ai_worker.providers.base import ChatMessage
from callbus import transcript
from support.conversation_library import GREETING, LONG, UNINTERRUPTIBLE, last_thought, library
from support.conversation_world import Answer, Latency, World


def seen(messages: tuple[ChatMessage, ...]) -> Answer:
    return Answer(messages[-1].content)


def test_keys_are_one_input_after_a_pause() -> None:
    world = library().until_turn()
    world.caller.press("123")
    pressed = world.now + 0.6
    world.until(lambda: len(world.thoughts) == 1)
    assert world.now - pressed == pytest.approx(2.0, abs=0.05)
    assert last_thought(world)[-1] == ("user", "(pressed 123)")
    assert [entry.digits for entry in world.entries if isinstance(entry, transcript.CallerPressed)] == ["123"]


def test_keys_are_complete_with_the_hash_key() -> None:
    world = library().until_turn()
    world.caller.press("123#")
    pressed = world.now + 0.9
    world.until(lambda: len(world.thoughts) == 1)
    assert world.now - pressed < 0.05
    world.caller.press("#")
    world.until_heard("your card.")
    assert world.caller_said == ["(pressed 123)"]


def test_a_hash_alone_is_an_input() -> None:
    world = library(answers=seen).until_turn()
    world.caller.press("#")
    world.until_heard("(pressed #)").until_turn()
    assert world.caller_said == ["(pressed #)"]
    assert [entry.digits for entry in world.entries if isinstance(entry, transcript.CallerPressed)] == ["#"]
    world.run(3.0)
    world.caller.press("#")
    world.until(lambda: world.caller_said == ["(pressed #)"] * 2)


def test_a_hash_that_comes_after_the_pause_ends_what_was_pressed_before_it() -> None:
    world = library().until_turn()
    world.caller.press("12")
    world.until(lambda: len(world.caller_said) == 1)
    world.caller.press("#", after=0.5)
    world.until_heard("your card.").until_turn()
    assert world.caller_said == ["(pressed 12)"]


def test_a_hash_is_kept_for_a_bot_that_may_not_be_interrupted() -> None:
    world = World(UNINTERRUPTIBLE, answers=lambda _: Answer(LONG))
    world.until_heard("this is")
    world.caller.press("#")
    world.until_heard("your card.")
    assert world.heard == f"{GREETING} {LONG}"
    assert world.caller_said == ["(pressed #)"]


def test_keys_interrupt_what_the_bot_says() -> None:
    world = library()
    world.until_heard("this is")
    world.caller.press("1#")
    world.until_heard("your card.").until_turn()
    assert world.caller_said == ["(pressed 1)"]
    heard = world.heard.removesuffix(LONG).strip()
    assert last_thought(world)[1:] == [("assistant", f"{heard} …"), ("user", "(pressed 1)")]


def test_keys_and_words_at_once_are_both_answered() -> None:
    world = library().until_turn()
    world.caller.say("my number is this")
    world.caller.press("12#", after=1.2)
    world.until_heard("your card.").until_turn()
    assert sorted(world.caller_said) == ["(pressed 12)", "my number is this"]
    assert "my number is this" in last_thought(world)[-1][1]
    assert "(pressed 12)" in last_thought(world)[-1][1]


def test_what_is_said_while_keys_are_pressed_on_the_line_is_heard() -> None:
    world = library(answers=seen, latency=Latency(bus=0.5)).until_turn()
    world.caller.say("Press one.")
    world.until(lambda: any(isinstance(action, act.Act) for _, action in world.actions))
    world.caller.say("And now the second thing.")
    world.run(8.0)
    assert world.streamer.done[0][2:] == ("digits", "1")
    assert world.caller_said == ["Press one.", "And now the second thing."]
    assert "And now the second thing." in world.heard


def test_who_may_not_be_interrupted_is_not_interrupted_by_keys_either() -> None:
    world = World(UNINTERRUPTIBLE, answers=lambda _: Answer(LONG))
    world.until_heard("this is")
    world.caller.press("12#")
    world.until_heard("your card.")
    assert world.heard == f"{GREETING} {LONG}"
    assert world.caller_said == ["(pressed 12)"]


def test_words_do_not_interrupt_the_answer_to_keys_of_a_bot_that_may_not_be_interrupted() -> None:
    world = World(UNINTERRUPTIBLE, answers=lambda _: Answer(LONG)).until_turn()
    ended = world.caller.say("my number is")
    world.caller.press("1#", after=ended - world.now + 0.6)
    world.until(lambda: len(world.caller_said) == 2).until_turn()
    assert world.caller_said == ["(pressed 1)", "my number is"]
    assert world.heard == f"{GREETING} {LONG} {LONG}"
    assert world.streamer.broken == []
