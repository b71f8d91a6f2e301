"""Where a turn ends and what it says: pauses, long speech, sounds that never end, bots that go on. On virtual time."""

from __future__ import annotations

from typing import Literal

import pytest

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.machine import Conversation
from ai_worker.conversation.persona import Persona
from support.conversation_library import GREETING, LONG, UNINTERRUPTIBLE, library
from support.conversation_world import START, Answer, Latency, World


def test_a_pause_within_a_turn_is_one_turn() -> None:
    world = library().until_turn()
    world.caller.say("I want to borrow")
    world.caller.say("a laptop and a book.", after=3 * 0.35 + 1.0)
    world.until(lambda: bool(world.caller_said))
    assert world.caller_said == ["I want to borrow a laptop and a book."]


def test_dictated_digits_are_waited_for() -> None:
    world = library().until_turn()
    for index in range(4):
        world.caller.say("four seven two", after=index * (3 * 0.35 + 1.8))
    world.until(lambda: bool(world.caller_said))
    assert world.caller_said == [" ".join(["four seven two"] * 4)]


def test_a_long_monologue_is_understood_in_parts_each_once() -> None:
    world = library().until_turn()
    words = " ".join(f"word{number}" for number in range(200)) + " end."
    world.caller.say(words)
    world.until(lambda: len(world.thoughts) == 1, limit=90)
    assert world.caller_said == [words]
    lengths = [a.end_ms - a.start_ms for _, a in world.actions if isinstance(a, act.Transcribe)]
    assert max(lengths) < 28_000


@pytest.mark.parametrize("stt", [0.3, 3.0])
def test_a_monologue_with_pauses_is_understood_in_parts_each_once(stt: float) -> None:
    world = library(latency=Latency(stt=stt)).until_turn()
    said, after = [], 0.0
    for part in range(14):
        words = [f"word{part}x{number}" for number in range(12)] + ["and"]
        world.caller.say(" ".join(words), after=after)
        said += words
        after += len(words) * 0.35 + 0.9
    world.until(lambda: bool(world.caller_said), limit=120)
    assert world.caller_said == [" ".join(said)]
    lengths = [a.end_ms - a.start_ms for _, a in world.actions if isinstance(a, act.Transcribe)]
    assert max(lengths) < 28_000


def test_a_late_answer_about_an_early_part_is_waited_for() -> None:
    world = library().until_turn()
    words = " ".join(f"word{number}" for number in range(72)) + " end."
    slow = world.latency.stt
    world.latency = Latency(stt=2.5)
    world.caller.say(words, seconds=25.45)
    world.until(lambda: any(isinstance(a, act.Transcribe) for _, a in world.actions))
    world.latency = Latency(stt=slow)
    world.until(lambda: len(world.thoughts) == 1)
    assert world.caller_said == [words]


def test_who_may_not_be_interrupted_is_heard_out_and_then_the_caller_is_answered() -> None:
    world = World(UNINTERRUPTIBLE, answers=lambda _: Answer(LONG))
    world.until_heard("this is")
    world.caller.say("Can I borrow a laptop?", seconds=1.0)
    world.until_heard("your card.")
    assert world.heard == f"{GREETING} {LONG}"
    assert world.streamer.broken == []
    assert world.caller_said == ["Can I borrow a laptop?"]


@pytest.mark.parametrize("failing", ["fails", "stalls"])
def test_who_may_not_be_interrupted_is_not_interrupted_by_a_failure_either(failing: Literal["fails", "stalls"]) -> None:
    world = World(Persona(GREETING + " This call is recorded, " * 20, allow_interruptions=False))
    world.speech_to_text = lambda _: failing
    world.until_heard("this is")
    world.caller.say("Can I borrow a laptop?", seconds=1.0)
    world.until_turn()
    assert world.streamer.broken == []


def test_who_may_not_be_interrupted_takes_up_a_lost_connection_before_it_answers() -> None:
    world = World(UNINTERRUPTIBLE, answers=lambda _: Answer(LONG))
    world.until_heard("Hello,")
    world.caller.say("Laptop?", seconds=0.4)
    world.until_heard("library.")
    world.lose_line(2.0)
    world.until_heard("your card.")
    assert world.heard == f"{GREETING} {LONG}"


def test_words_after_a_backchannel_over_a_bot_that_may_not_be_interrupted_are_not_lost() -> None:
    world = World(Persona(GREETING + " Please hold on." * 3, allow_interruptions=False), answers=lambda _: Answer(LONG))
    world.until_heard("this is")
    world.caller.say("Yeah.", seconds=0.3)
    world.caller.say("I need a laptop.", after=0.9)
    world.until_heard("your card.")
    assert world.caller_said == ["Yeah. I need a laptop."]


def test_a_second_sentence_is_waited_for_when_the_bot_falls_silent_before_its_words_are_there() -> None:
    world = World(UNINTERRUPTIBLE, latency=Latency(stt=0.8))
    world.until_heard("Hello,")
    world.caller.say("Laptops.", seconds=0.5)
    world.caller.say("And books.", after=1.4)
    world.until(lambda: bool(world.thoughts))
    assert world.caller_said == ["Laptops. And books."]


def test_words_of_an_outdated_request_are_not_wanted() -> None:
    conversation = Conversation(Persona(""))
    conversation.handle(ev.Begin(), 100.0)
    for at in (101.0, 102.0):
        conversation.handle(ev.SpeechStarted(round(at * 1000) - 100_000, 200), at + 0.2)
        conversation.handle(ev.SpeechStopped(round(at * 1000) - 99_500, 200, at + 0.5), at + 0.7)
    conversation.handle(ev.Transcribed(1, 0, "I want"), 102.8)
    conversation.handle(ev.Transcribed(2, 1, "Somebody else."), 102.9)
    assert not [a for a in conversation.handle(ev.Tick(), 106.0) if isinstance(a, act.Think)]
    [think] = [a for a in conversation.handle(ev.Transcribed(1, 1, "I want books."), 106.1) if isinstance(a, act.Think)]
    assert think.messages[-1].content == "I want books."


def test_sound_that_never_ends_does_not_silence_the_bot() -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two hours")
    world.caller.noise(600.0)
    world.until_heard("your card.")
    assert world.heard == f"{GREETING} {LONG}"
    world.run()
    assert world.finish
    assert world.finish.outcome == "bot_ended"
    assert world.now < START + 120


def test_words_before_a_sound_that_never_ends_are_answered() -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.caller.noise(600.0, after=1.75)
    world.until_heard("your card.", limit=90)
    assert world.caller_said == ["Can I borrow a laptop?"]


def test_words_before_a_sound_that_never_ends_do_not_interrupt_who_may_not_be_interrupted() -> None:
    notice = "This call is recorded, and it goes on and on for everyone to hear. " * 16
    world = World(Persona(notice, allow_interruptions=False), answers=lambda _: Answer(LONG))
    world.until_heard("This call")
    world.caller.say("Can I borrow a laptop?")
    world.caller.noise(600.0, after=1.75)
    world.until_heard("your card.", limit=140)
    assert world.streamer.broken == []
    assert world.caller_said == ["Can I borrow a laptop?"]


def test_sound_that_never_ends_and_a_dead_speech_to_text_do_not_silence_the_bot() -> None:
    for failure in ("fails", "stalls"):
        world = library(speech_to_text=lambda request, failure=failure: failure)
        world.until_turn()
        world.caller.noise(600.0)
        world.run()
        assert world.finish
        assert world.finish.outcome == "bot_ended"
        assert world.now < START + 150


def test_a_cough_now_and_then_does_not_keep_the_bot_from_asking_whether_anyone_is_there() -> None:
    world = library().until_turn()
    for index in range(40):
        world.caller.noise(0.5, after=index * 5.0)
    world.run()
    assert "Are you still there?" in world.heard
    assert world.finish
    assert world.finish.outcome == "bot_ended"
    assert world.now < START + 90
