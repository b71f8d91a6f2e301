"""Sound that nobody speaks: echo, a television, coughs. And the words that an STT tells while they are spoken."""

from __future__ import annotations

from typing import Any

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


def echo(world: World, words: str) -> None:
    """The line sends back the last two of these words, when they have been heard."""
    world.until_heard(words)
    world.caller.say(" ".join(words.split()[-2:]), seconds=0.4)


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
    for words in ("keep a book", "and renew it", "yours for one week"):
        echo(world, words)
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


def options(greeting: str, **more: Any) -> World:
    return World(Persona(greeting, instructions="You are a library."), answers=lambda _: Answer("Very well."), **more)


@pytest.mark.parametrize("partial", [None, 0.1])
@pytest.mark.parametrize("answer", ["Tuesday.", "Monday.", "On Tuesday."])
def test_an_option_that_the_bot_names_is_an_answer_also_over_its_last_words(answer: str, partial: float | None) -> None:
    world = options("Hello, would you like to come on Monday or on Tuesday?", latency=Latency(partial=partial))
    world.until_heard("on Monday or")
    world.caller.say(answer, seconds=0.5)
    world.until_heard("Very well.", limit=20.0)
    assert world.caller_said == [answer]


def test_an_option_is_an_answer_also_when_its_last_syllable_meets_the_bots() -> None:
    world = options("Hello, would you like Monday or Tuesday?")
    world.until_heard("Monday or")
    world.caller.say("Tuesday.", after=0.3, seconds=0.6)
    world.until_heard("Very well.", limit=20.0)
    assert world.caller_said == ["Tuesday."]


def test_who_says_what_the_silence_prompt_says_is_there() -> None:
    world = options("Hello, this is the library.")
    world.until_heard("I am still here if", limit=60.0)
    world.caller.say("I am still here.", seconds=1.0)
    world.until_heard("Very well.", limit=20.0)
    assert world.finish is None


def test_a_line_that_has_echoed_is_not_given_the_benefit_of_the_doubt() -> None:
    world = library().until_turn()
    world.caller.say(QUESTION)
    echo(world, "keep a book")
    world.until_heard("only, I")
    world.caller.say("I am afraid.", seconds=0.9)
    world.run(10.0)
    assert world.caller_said == [QUESTION]
    assert [note for note in world.notes if note.startswith("echo")] == ["echo: I am afraid."]


@pytest.mark.parametrize("skew", [-3600.0, 5.0])
def test_an_echo_is_known_by_this_workers_clock(skew: float) -> None:
    world = World(
        Persona(GREETING, instructions="You are a library."), skew=skew, answers=lambda _: Answer(LONG)
    ).until_turn()
    world.caller.say(QUESTION)
    echo(world, "keep a book")
    world.until_heard("I am afraid.")
    assert breaks(world) == 1
    assert world.caller_said == [QUESTION]
