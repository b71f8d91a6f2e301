"""Answers that are thought of before the turn is over: what they win, and that nothing is left of a wrong one."""

from __future__ import annotations

import pytest

from ai_worker.conversation import actions as act
from ai_worker.conversation.persona import Persona, Scripted, TurnTaking
from ai_worker.providers.base import ChatMessage
from callbus import transcript
from support.conversation_world import Answer, Latency, World

GREETING = "Hello, this is the library. How can I help you?"
QUESTION = "When do you open?"
ANSWER = "We open at nine o'clock sharp. And we close at six."


def library(*, guesses: int = 3, latency: Latency | None = None, persona: Persona | None = None) -> World:
    return World(
        persona or Persona(GREETING, instructions="You are a library."),
        TurnTaking(guesses=guesses),
        latency or Latency(stt=0.1, first_token=0.3, first_audio=0.2),
        answers=lambda messages: Answer(ANSWER if messages[-1].content == QUESTION else "I beg your pardon, caller?"),
    )


def kinds(world: World, *wanted: type) -> list[act.Action]:
    return [action for _, action in world.actions if isinstance(action, wanted)]


def answered_after(world: World) -> float:
    timed = [entry for entry in world.entries if isinstance(entry, transcript.TurnTimed)]
    assert timed[-1].voice_to_voice_ms is not None
    return timed[-1].voice_to_voice_ms / 1000


def test_the_time_until_the_turn_is_over_is_won() -> None:
    waited = {}
    for guesses in (0, 3):
        world = library(guesses=guesses).until_turn()
        world.caller.say(QUESTION)
        world.until_heard("close at six.")
        assert len(world.thoughts) == 1
        waited[guesses] = answered_after(world)
    # The turn is over after 0.5 s of silence; the words were there after 0.3 s.
    assert waited[0] - waited[3] == pytest.approx(0.2, abs=0.02)


def test_an_answer_that_is_ready_sounds_when_the_turn_is_over() -> None:
    world = library(latency=Latency(stt=0.05, first_token=0.05, token=0.01, first_audio=0.05)).until_turn()
    world.caller.say(QUESTION)
    world.until_heard("close at six.")
    assert answered_after(world) == pytest.approx(0.5, abs=0.03)


def test_a_guess_is_neither_written_nor_said_before_the_turn_is_over() -> None:
    world = library(latency=Latency(stt=0.05, first_token=0.01, token=0.001)).until_turn()
    world.caller.say(QUESTION)
    world.until(lambda: bool(kinds(world, act.Prepare)))
    assert world.caller_said == []
    assert len(world.written(transcript.BotSays)) == 2  # the greeting
    world.until_heard("at nine")
    order = [type(action) for action in kinds(world, act.Prepare, act.Guessed, act.Write) if _told(action)]
    assert order[-3:] == [act.Prepare, act.Write, act.Guessed]
    assert kinds(world, act.Guessed) == [act.Guessed(used=True)]


def _told(action: act.Action) -> bool:
    return not isinstance(action, act.Write) or isinstance(action.entry, transcript.CallerSaid)


def test_nothing_is_left_of_a_guess_when_the_caller_goes_on() -> None:
    world = library(latency=Latency(stt=0.05, first_token=0.01, token=0.001)).until_turn()
    world.caller.say("When do you open")
    world.until(lambda: bool(kinds(world, act.Prepare)))
    world.caller.say("on Sundays?")
    world.until_heard("pardon, caller?")
    first = world.thoughts[0]
    assert kinds(world, act.Guessed) == [act.Guessed(used=False), act.Guessed(used=True)]
    assert len(kinds(world, act.Unprepare)) == 1
    assert first.messages[-1] == ChatMessage("user", "When do you open")
    assert world.thoughts[-1].messages[-1] == ChatMessage("user", "When do you open on Sundays?")
    assert "nine" not in world.heard
    assert world.caller_said == ["When do you open on Sundays?"]


def test_the_model_that_still_writes_is_stopped_when_the_caller_goes_on() -> None:
    world = library(latency=Latency(stt=0.05, first_token=5.0)).until_turn()
    world.caller.say("I would like to")
    world.until(lambda: bool(world.thoughts))
    world.caller.say("know something.")
    world.until(lambda: len(world.thoughts) == 2)
    assert [action.reply for action in kinds(world, act.StopThinking)] == [world.thoughts[0].reply]  # type: ignore[union-attr]


def test_pauses_without_end_do_not_cost_a_request_each() -> None:
    world = library(guesses=2).until_turn()
    for index in range(6):
        world.caller.say("and then there was a", after=index * 2.5)
    world.until(lambda: bool(world.caller_said))
    assert kinds(world, act.Guessed) == [act.Guessed(used=False)] * 2
    assert len(world.thoughts) == 3
    world.until_turn()
    world.caller.say(QUESTION)
    world.until_heard("nine")
    assert kinds(world, act.Guessed)[-1] == act.Guessed(used=True)


def test_a_guess_that_fails_is_not_held_against_the_turn() -> None:
    ends = iter(["fails", "well"])
    world = library(latency=Latency(stt=0.05, first_token=0.1))
    world.answers = lambda _: Answer(ANSWER if (end := next(ends)) == "well" else "", end)  # type: ignore[arg-type]
    world.until_turn()
    world.caller.say(QUESTION)
    world.until_heard("close at six.")
    assert kinds(world, act.Guessed) == [act.Guessed(used=False)]
    assert not [note for note in world.notes if "failed" in note]


def test_a_scripted_answer_is_prepared_and_asks_nobody() -> None:
    persona = Persona(GREETING, script=lambda text: Scripted(ANSWER) if text == QUESTION else None)
    world = library(persona=persona).until_turn()
    world.caller.say(QUESTION)
    world.until_heard("close at six.")
    assert world.thoughts == []
    assert kinds(world, act.Prepare) == [act.Prepare("We open at nine o'clock sharp.")]
    assert answered_after(world) < 0.6


def test_after_an_interruption_it_waits_until_it_is_known_what_was_heard() -> None:
    world = library(latency=Latency(bus=0.15, stt=0.02)).until_heard("library.")
    world.caller.say(QUESTION)
    world.until_heard("close at six.")
    guessed = world.thoughts[0]
    assert kinds(world, act.Guessed)[0] == act.Guessed(used=True)
    assert guessed.messages[1].role == "assistant"
    assert guessed.messages[1].content.startswith("Hello, this is the library. How")
    assert guessed.messages[1].content.endswith(" …")


def test_keys_pressed_while_a_guess_waits_are_answered_and_the_guess_forgotten() -> None:
    world = library(latency=Latency(stt=0.02)).until_turn()
    world.caller.say("four seven two")
    world.until(lambda: bool(world.thoughts))
    world.caller.press("1#")
    world.until(lambda: len(world.caller_said) >= 1)
    assert world.caller_said[0].startswith("(pressed 1")
    assert kinds(world, act.Guessed)[0] == act.Guessed(used=False)


def test_the_call_ends_while_a_guess_waits() -> None:
    world = library(latency=Latency(stt=0.02, first_token=3.0)).until_turn()
    world.caller.say("four seven two")
    world.until(lambda: bool(world.thoughts))
    world.caller.hang_up()
    world.run()
    assert world.finish
    assert kinds(world, act.StopThinking)
    assert isinstance(world.actions[-1][1], act.Finish)


@pytest.mark.parametrize(("partial", "asked_after"), [(None, 0.5), (0.1, 0.1)])
def test_words_that_are_known_before_the_caller_has_stopped_are_guessed_at_when_he_has(
    partial: float | None, asked_after: float
) -> None:
    # Whether "on Sunday" is all is open, and the final words come late.
    world = library(latency=Latency(stt=0.5, partial=partial)).until_turn()
    world.caller.say("On Sunday")
    world.until(lambda: bool(kinds(world, act.Think)))
    stopped = max(at for at, action in world.actions if isinstance(action, act.Transcribe))
    asked = next(at for at, action in world.actions if isinstance(action, act.Think))
    assert asked - stopped == pytest.approx(asked_after, abs=0.02)


@pytest.mark.parametrize(("figures", "silence"), [("9 2 4 1", 0.9), ("9 2 4", 1.2), ("9 2", 2.2)])
def test_a_dictation_is_answered_by_its_rhythm_from_the_first_figure_on(figures: str, silence: float) -> None:
    world = library(latency=Latency(stt=0.05, first_token=0.05, token=0.01, first_audio=0.05)).until_turn()
    ended = world.now
    for figure in figures.split():
        ended = world.caller.say(figure, after=ended - world.now + 0.45)
    world.until_heard("pardon, caller?")
    assert world.caller_said == [figures]
    assert answered_after(world) == pytest.approx(silence, abs=0.03)
