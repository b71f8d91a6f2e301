"""Who speaks when: questions, answers, interruptions, and the sounds that are none. On virtual time."""

from __future__ import annotations

import pytest

from ai_worker.conversation import actions as act
from callbus import transcript
from support.conversation_library import GREETING, LONG, PERSONA, last_thought, library
from support.conversation_world import Answer, Latency, World


def test_a_greeting_a_question_an_answer_and_a_goodbye_that_hangs_up_after_its_last_word() -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?", after=0.5)
    world.until_heard("your card.").until_turn()
    world.caller.say("Goodbye.", after=0.5)
    world.run()
    assert world.heard == f"{GREETING} {LONG} Thank you for calling. Goodbye."
    assert world.caller_said == ["Can I borrow a laptop?", "Goodbye."]
    [(done_at, _, kind, _)] = world.streamer.done
    assert kind == "hangup"
    assert done_at >= world.wire.heard(world.now)[-1].at
    assert world.finish == act.Finish("bot_ended", "hangup")
    assert world.longest_silence < 2.0


def test_the_model_is_asked_with_the_whole_conversation_once() -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("your card.").until_turn()
    world.caller.say("And what about books?")
    world.until(lambda: len(world.thoughts) == 2)
    assert last_thought(world) == [
        ("system", "You are a library."),
        ("assistant", GREETING),
        ("user", "Can I borrow a laptop?"),
        ("assistant", LONG),
        ("user", "And what about books?"),
    ]


def test_an_answer_begins_soon_after_the_caller_has_finished() -> None:
    world = library().until_turn()
    ended = world.caller.say("Can I borrow a laptop?", after=1.0)
    world.until_heard("Members")
    begun = next(start for start, _ in world.wire.sounding() if start > ended)
    assert begun - ended < 1.2
    [timed] = [entry for entry in world.entries if isinstance(entry, transcript.TurnTimed)]
    assert timed.voice_to_voice_ms == pytest.approx((begun - ended) * 1000, abs=1)


def test_an_interruption_is_silence_at_once_and_only_what_was_heard_is_remembered() -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two hours")
    begun = world.now
    world.caller.say("Wait, what about books?")
    world.until(lambda: bool(world.streamer.broken))
    # 0.3 s of speech, and the way over the bus.
    assert world.now - begun == pytest.approx(0.31, abs=0.02)
    heard = world.heard.removeprefix(GREETING).strip()
    world.until(lambda: len(world.thoughts) == 2)
    assert last_thought(world)[2:] == [
        ("user", "Can I borrow a laptop?"),
        ("assistant", f"{heard} …"),
        ("user", "Wait, what about books?"),
    ]
    world.until(lambda: world.heard.endswith("your card."))
    assert world.heard == f"{GREETING} {heard} {LONG}"


def test_a_short_interruption_is_silence_as_soon_as_it_is_understood() -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two hours")
    ended = world.caller.say("No, wait", seconds=0.28)
    world.until(lambda: bool(world.streamer.broken))
    assert world.now - ended < 0.6
    heard = world.heard.removeprefix(GREETING).strip()
    world.until(lambda: len(world.thoughts) == 2)
    assert last_thought(world)[-2:] == [("assistant", f"{heard} …"), ("user", "No, wait")]


@pytest.mark.parametrize("stt", [0.1, 0.7, 2.0])
def test_the_model_never_sees_words_that_were_not_heard_however_late_the_speech_to_text_is(stt: float) -> None:
    world = World(PERSONA, answers=lambda _: Answer(LONG), latency=Latency(stt=stt)).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two")
    world.caller.say("Stop.", seconds=0.25)
    world.until(lambda: len(world.thoughts) == 2)
    said = world.heard.removeprefix(GREETING).strip()
    assert last_thought(world)[-2:] == [("assistant", f"{said} …"), ("user", "Stop.")]


@pytest.mark.parametrize("words", ["Mm-hm.", "Yeah, okay.", "I see."])
@pytest.mark.parametrize("seconds", [0.25, 0.8])
def test_a_backchannel_does_not_end_the_answer(words: str, seconds: float) -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("can borrow")
    world.caller.say(words, seconds=seconds)
    world.until_heard("your card.").until_turn()
    assert world.heard == f"{GREETING} {LONG}"
    assert world.caller_said == ["Can I borrow a laptop?"]
    assert len(world.thoughts) == 1


def test_a_backchannel_is_not_glued_to_the_next_turn() -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("can borrow")
    world.caller.say("Yeah.", seconds=0.25)
    world.until_heard("your card.").until_turn()
    world.caller.say("And books?", after=1.0)
    world.run(3)
    assert world.caller_said == ["Can I borrow a laptop?", "And books?"]


@pytest.mark.parametrize("stt", [0.1, 0.3, 0.9])
@pytest.mark.parametrize("early", [0.05, 0.15, 0.3, 0.6])
def test_a_short_yes_over_the_bots_last_word_is_an_answer(early: float, stt: float) -> None:
    world = World(PERSONA, answers=lambda _: Answer("Then I will book it."))
    world.latency = Latency(stt=stt)
    world.until_heard("How can")
    ends = world.now + len(" I help you?") * 0.062
    world.caller.say("Yes.", after=max(0.0, ends - early - world.now), seconds=0.28)
    world.run(4.0)
    assert world.caller_said == ["Yes."]
    assert world.heard == f"{GREETING} Then I will book it."


@pytest.mark.parametrize("seconds", [0.4, 1.0, 3.0])
def test_noise_without_words_only_holds_the_answer_back_and_nothing_is_lost_or_said_twice(seconds: float) -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two hours")
    world.caller.noise(seconds)
    world.until(lambda: bool(world.streamer.broken))
    world.until_heard("your card.").until_turn()
    assert world.heard == f"{GREETING} {LONG}"
    world.caller.say("And books?")
    world.until(lambda: len(world.thoughts) == 2)
    # Nobody interrupted, as it turned out: the model is not told of it.
    assert last_thought(world)[-2:] == [("assistant", LONG), ("user", "And books?")]


def test_a_cough_is_over_before_it_interrupts() -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two hours")
    world.caller.noise(0.25)
    world.until_heard("your card.")
    assert world.streamer.broken == []


def test_noise_while_the_speech_to_text_is_stuck_resumes_in_time() -> None:
    world = library(speech_to_text=lambda request: "stalls" if request.utterance > 1 else "ok").until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two hours")
    ended = world.caller.noise(0.5)
    world.until_heard("at the front")
    assert world.now - ended < 1.5 + 1.5


def test_speech_while_the_bot_is_about_to_resume_holds_it_back_again() -> None:
    # On a slow bus: the words (none) are there before it is known what was heard.
    world = library(latency=Latency(bus=0.5, stt=0.05)).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two hours")
    world.caller.noise(0.5)
    ends = world.caller.say("Actually no, I would rather like to have a book.", after=0.75)
    world.until(lambda: len(world.caller_said) == 2)
    assert [start for start, _ in world.wire.sounding() if world.streamer.broken[0] < start < ends] == []


def test_the_caller_goes_on_while_the_bot_thinks_and_gets_one_answer_to_all_of_it() -> None:
    world = library(answers=lambda _: Answer(LONG, first_token=1.5)).until_turn()
    world.caller.say("I want to borrow a laptop.")
    world.until(lambda: len(world.thoughts) == 1)
    world.caller.say("For two people.", after=0.3)
    world.until_heard("your card.").until_turn()
    assert world.heard == f"{GREETING} {LONG}"
    assert last_thought(world)[-1] == ("user", "I want to borrow a laptop. For two people.")


def test_a_scripted_answer_needs_no_model() -> None:
    world = library().until_turn()
    world.caller.say("When are you open?")
    world.until_heard("We are open from nine to seven.")
    assert world.thoughts == []
