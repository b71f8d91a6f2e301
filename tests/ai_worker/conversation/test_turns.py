"""Who speaks when: questions, answers, interruptions, and the sounds that are none. On virtual time."""

from __future__ import annotations

from typing import Literal

import pytest

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.machine import Conversation
from ai_worker.conversation.persona import Persona, Scripted
from ai_worker.providers.base import ChatMessage
from callbus import transcript
from support.conversation_world import Answer, Latency, World

GREETING = "Hello, this is the library. How can I help you?"
LONG = "Members can borrow a laptop for two hours at the front desk. It is free of charge, and you only need your card."


def script(text: str) -> Scripted | None:
    match text.lower():
        case "goodbye.":
            return Scripted("Thank you for calling. Goodbye.", "hangup")
        case "a human, please.":
            return Scripted("Of course. I will put you through to a colleague now.", "transfer", "33187654321")
        case "when are you open?":
            return Scripted("We are open from nine to seven.")
        case "press one.":
            return Scripted("", "digits", "1")
    return None


PERSONA = Persona(GREETING, instructions="You are a library.", script=script)


def library(**settings: object) -> World:
    world = World(PERSONA, answers=lambda _: Answer(LONG))
    for name, value in settings.items():
        setattr(world, name, value)
    return world


def last_thought(world: World) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in world.thoughts[-1].messages]


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


def test_a_pause_within_a_turn_is_one_turn() -> None:
    world = library().until_turn()
    world.caller.say("I want to borrow")
    world.caller.say("a laptop and a book.", after=3 * 0.35 + 1.0)
    world.until(lambda: len(world.thoughts) == 1)
    assert world.caller_said == ["I want to borrow a laptop and a book."]


def test_dictated_digits_are_waited_for() -> None:
    world = library().until_turn()
    for index in range(4):
        world.caller.say("four seven two", after=index * (3 * 0.35 + 1.8))
    world.until(lambda: len(world.thoughts) == 1)
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
    world.until(lambda: len(world.thoughts) == 1, limit=120)
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
    world = World(Persona(GREETING, allow_interruptions=False), answers=lambda _: Answer(LONG))
    world.until_heard("this is")
    world.caller.say("Can I borrow a laptop?", seconds=1.0)
    world.until_heard("your card.")
    assert world.heard == f"{GREETING} {LONG}"
    assert world.streamer.broken == []
    assert world.caller_said == ["Can I borrow a laptop?"]


def test_who_may_not_be_interrupted_is_not_interrupted_by_keys_either() -> None:
    world = World(Persona(GREETING, allow_interruptions=False), answers=lambda _: Answer(LONG))
    world.until_heard("this is")
    world.caller.press("12#")
    world.until_heard("your card.")
    assert world.heard == f"{GREETING} {LONG}"
    assert world.caller_said == ["(pressed 12)"]


@pytest.mark.parametrize("failing", ["fails", "stalls"])
def test_who_may_not_be_interrupted_is_not_interrupted_by_a_failure_either(failing: Literal["fails", "stalls"]) -> None:
    world = World(Persona(GREETING + " This call is recorded, " * 20, allow_interruptions=False))
    world.speech_to_text = lambda _: failing
    world.until_heard("this is")
    world.caller.say("Can I borrow a laptop?", seconds=1.0)
    world.until_turn()
    assert world.streamer.broken == []


def test_who_may_not_be_interrupted_takes_up_a_lost_connection_before_it_answers() -> None:
    world = World(Persona(GREETING, allow_interruptions=False), answers=lambda _: Answer(LONG))
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
    world = World(Persona(GREETING, allow_interruptions=False), latency=Latency(stt=1.0))
    world.until_heard("Hello,")
    world.caller.say("Laptops.", seconds=0.5)
    world.caller.say("And books.", after=1.6)
    world.until(lambda: bool(world.thoughts))
    assert world.caller_said == ["Laptops. And books."]


def test_words_do_not_interrupt_the_answer_to_keys_of_a_bot_that_may_not_be_interrupted() -> None:
    world = World(Persona(GREETING, allow_interruptions=False), answers=lambda _: Answer(LONG)).until_turn()
    ended = world.caller.say("my number is")
    world.caller.press("1#", after=ended - world.now + 0.6)
    world.until(lambda: len(world.caller_said) == 2).until_turn()
    assert world.caller_said == ["(pressed 1)", "my number is"]
    assert world.heard == f"{GREETING} {LONG} {LONG}"
    assert world.streamer.broken == []


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


def test_a_scripted_answer_needs_no_model() -> None:
    world = library().until_turn()
    world.caller.say("When are you open?")
    world.until_heard("We are open from nine to seven.")
    assert world.thoughts == []


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
    assert world.now < 10_000 + 120


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
        assert world.now < 10_000 + 150


def test_a_cough_now_and_then_does_not_keep_the_bot_from_asking_whether_anyone_is_there() -> None:
    world = library().until_turn()
    for index in range(40):
        world.caller.noise(0.5, after=index * 5.0)
    world.run()
    assert "Are you still there?" in world.heard
    assert world.finish
    assert world.finish.outcome == "bot_ended"
    assert world.now < 10_000 + 90


def seen(messages: tuple[ChatMessage, ...]) -> Answer:
    return Answer(messages[-1].content)


def test_what_is_said_while_keys_are_pressed_on_the_line_is_heard() -> None:
    world = library(answers=seen, latency=Latency(bus=0.5)).until_turn()
    world.caller.say("Press one.")
    world.until(lambda: any(isinstance(action, act.Act) for _, action in world.actions))
    world.caller.say("And now the second thing.")
    world.run(8.0)
    assert world.streamer.done[0][2:] == ("digits", "1")
    assert world.caller_said == ["Press one.", "And now the second thing."]
    assert "And now the second thing." in world.heard
