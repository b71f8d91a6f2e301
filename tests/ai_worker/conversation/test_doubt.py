"""Sound that nobody speaks: echo, a television, coughs. And the words that an STT tells while they are spoken."""

from __future__ import annotations

import pytest

from ai_worker.conversation import actions as act
from ai_worker.conversation.persona import Persona, TurnTaking
from callbus import transcript
from support.conversation_world import Answer, Latency, World

GREETING = "Hello, this is the library. How can I help you today?"
LONG = "You can keep a book for three weeks, and renew it twice. A film is yours for one week only, I am afraid."
QUESTION = "When do you open?"


def library(*, latency: Latency | None = None, guesses: int = 3) -> World:
    persona = Persona(GREETING, instructions="You are a library.")
    return World(persona, TurnTaking(guesses=guesses), latency or Latency(), answers=lambda _: Answer(LONG))


def heard_after(world: World) -> float:
    timed = [entry for entry in world.entries if isinstance(entry, transcript.TurnTimed)]
    assert timed[-1].voice_to_voice_ms is not None
    return timed[-1].voice_to_voice_ms / 1000


def breaks(world: World) -> int:
    return sum(isinstance(action, act.StopSpeaking) for _, action in world.actions)


def test_partial_words_let_the_answer_begin_before_the_final_ones() -> None:
    waited = {}
    for partial in (None, 0.05):
        latency = Latency(stt=0.5, first_token=0.4, first_audio=0.1, partial=partial)
        world = library(latency=latency).until_turn()
        world.caller.say(QUESTION)
        world.until_heard("three weeks")
        assert world.caller_said == [QUESTION]
        assert len(world.thoughts) == 1
        waited[partial] = heard_after(world)
    assert waited[None] - waited[0.05] > 0.3


def test_partial_words_of_half_a_sentence_ask_nobody() -> None:
    world = library(latency=Latency(partial=0.05, stt=2.0)).until_turn()
    world.caller.say("I would like to know when the")
    world.run(2.0)
    assert world.thoughts == []


@pytest.mark.parametrize("partial", [None, 0.1])
def test_the_bots_echo_stops_it_twice_at_most_and_is_never_answered(partial: float | None) -> None:
    world = library(latency=Latency(partial=partial)).until_turn()
    world.caller.say(QUESTION)
    world.until_heard("You can")
    # The line sends back what the bot says, a little later.
    for words in ("for three weeks", "renew it twice.", "yours for one week"):
        world.until_heard(words)
        world.caller.say(words, seconds=0.8)
    world.until_heard("I am afraid.")
    assert world.caller_said == [QUESTION]
    assert breaks(world) <= 2
    assert [note for note in world.notes if note.startswith("echo")]


@pytest.mark.parametrize("partial", [None, 0.1])
def test_a_television_does_not_keep_the_bot_silent(partial: float | None) -> None:
    world = library(latency=Latency(partial=partial)).until_heard("this is the")
    world.caller.noise(30.0)
    began = world.now
    world.until_heard("help you today?", limit=12.0)
    assert world.now - began < 6.0
    assert breaks(world) == 1
    assert "false interruption" in world.notes


@pytest.mark.parametrize("partial", [None, 0.1])
def test_a_caller_before_a_television_is_answered(partial: float | None) -> None:
    world = library(latency=Latency(partial=partial)).until_turn()
    world.caller.say(QUESTION)
    world.caller.noise(40.0, after=0.2)
    began = world.now
    world.until_heard("three weeks", limit=25.0)
    assert world.caller_said == [QUESTION]
    # Where no words are told as they are spoken, it is only looked into after 6 s.
    assert world.now - began < (7.0 if partial else 14.0)


@pytest.mark.parametrize("partial", [None, 0.1])
def test_a_caller_whose_voice_is_louder_than_the_television_is_answered_as_soon_as_without_it(
    partial: float | None,
) -> None:
    world = library(latency=Latency(partial=partial)).until_turn()
    world.caller.noise(40.0, behind=True)
    world.caller.say("I would like to", after=1.0)
    ended = world.caller.say(QUESTION, after=3.2)
    world.until_heard("three weeks", limit=25.0)
    assert world.caller_said == [f"I would like to {QUESTION}"]
    # Words that are not told as they are spoken are asked for, twice.
    answered = next(heard.at for heard in world.wire.heard(world.now) if heard.at > ended)
    assert answered - ended < (1.5 if partial else 3.0)


def test_a_sound_that_begins_after_the_last_word_is_no_word_more() -> None:
    world = library(latency=Latency(partial=0.1)).until_turn()
    ended = world.caller.say(QUESTION)
    world.caller.noise(20.0, after=ended - world.now + 0.25)
    world.until_heard("three weeks", limit=25.0)
    assert world.caller_said == [QUESTION]
    answered = next(heard.at for heard in world.wire.heard(world.now) if heard.at > ended)
    assert answered - ended < 4.0


def test_a_number_that_is_dictated_slowly_costs_no_guess_at_each_pause() -> None:
    world = library(guesses=2).until_turn()
    for index in range(5):
        world.caller.say("four seven two", after=index * 2.0)
    world.until(lambda: bool(world.caller_said))
    assert [action for _, action in world.actions if isinstance(action, act.Guessed)] == [act.Guessed(used=True)]


def test_after_false_alarms_words_stop_the_bot_and_sounds_do_not() -> None:
    world = library(latency=Latency(partial=0.05)).until_turn()
    world.caller.say(QUESTION)
    world.until_heard("You can")
    for _ in range(2):
        world.caller.noise(0.5)
        world.run(2.5)
    stopped = breaks(world)
    assert stopped == 2
    world.caller.noise(0.6)
    world.run(0.5)
    assert breaks(world) == stopped
    world.run(0.5)
    world.caller.say("No, I want to buy one.")
    world.until(lambda: breaks(world) > stopped, limit=2.0)
    world.until(lambda: len(world.caller_said) == 2)
    assert world.caller_said[1] == "No, I want to buy one."


def test_a_question_back_is_no_echo() -> None:
    world = library().until_turn()
    world.caller.say(QUESTION)
    world.until_heard("for three weeks,")
    world.caller.say("Three weeks?")
    world.until(lambda: len(world.caller_said) == 2)
