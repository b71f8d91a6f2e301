"""An answering machine is hung up on, or left a message, and never talked with. On virtual time."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_worker.conversation.persona import Persona, VoicemailPlan
from ai_worker.conversation.rebuild import rebuilt_history
from callbus import transcript
from support.conversation_library import GREETING, LONG, PERSONA
from support.conversation_world import Answer, World

MESSAGE = "This is the library. Your book is here. Please call us back."
LEAVES = dataclasses.replace(PERSONA, voicemail=VoicemailPlan(MESSAGE))
HANGS_UP = dataclasses.replace(PERSONA, voicemail=VoicemailPlan())
RECORDED = "Hi, you have reached the voicemail of Jane. I am not here. Please leave a message after the tone."
UNUSUAL = "Hello, Jane here, I am out in the garden at the moment, talk to you soon, speak now or never. Bye."


def machine(persona: Persona, greeting: str = RECORDED, *, beep: float | None = 0.8, after: float = 0.3) -> World:
    """A machine that answers with `greeting` and beeps so long after it."""
    world = World(persona, answers=lambda _: Answer(LONG))
    ended = world.caller.say(greeting, after=after)
    if beep is not None:
        world.caller.beep(after=ended - world.now + beep)
    return world


def check_nobody_was_talked_to(world: World) -> None:
    assert world.thoughts == [], world.story()
    assert world.finish, world.story()
    assert world.finish.outcome == "bot_ended", world.story()
    assert [kind for _, _, kind, _ in world.streamer.done] == ["hangup"], world.story()


def test_it_is_hung_up_on() -> None:
    world = machine(HANGS_UP).run()
    check_nobody_was_talked_to(world)
    assert MESSAGE not in world.heard
    [sign] = [entry.sign for entry in world.entries if isinstance(entry, transcript.MachineHeard)]
    assert sign == "you have reached the voicemail"
    assert world.caller_said == [RECORDED]


@pytest.mark.parametrize("beep", [0.2, 0.8, 2.0, 6.0])
def test_the_message_is_left_after_the_beep(beep: float) -> None:
    world = machine(LEAVES, beep=beep)
    ended = max(stretch.end for stretch in world.caller.stretches) + beep
    world.run()
    check_nobody_was_talked_to(world)
    # All that was said after the beep is the whole message.
    after = " ".join(heard.word for heard in world.wire.heard(world.now) if heard.at > ended + 0.3)
    assert after == MESSAGE, world.story()


def test_without_a_beep_the_message_is_left_when_the_machine_has_fallen_silent() -> None:
    world = machine(LEAVES, beep=None).run()
    check_nobody_was_talked_to(world)
    assert world.heard.endswith(MESSAGE)
    assert world.heard.count(MESSAGE) == 1
    spoke = next(heard.at for heard in world.wire.heard(world.now) if heard.word == "This")
    assert spoke > max(stretch.end for stretch in world.caller.stretches) + 2.0


def test_a_machine_that_talks_on_and_on_gets_its_message_in_the_end() -> None:
    world = World(LEAVES, answers=lambda _: Answer(LONG))
    world.caller.say("Please leave your message after the tone.", after=0.3)
    for number in range(60):
        world.caller.say("And another thing that I wanted to tell.", after=4.0 + 3.2 * number, seconds=3.0)
    world.run()
    check_nobody_was_talked_to(world)
    assert world.heard.endswith(MESSAGE)
    assert world.now < 10_000 + 120


def test_a_long_greeting_and_a_beep_are_enough_whatever_the_words() -> None:
    world = machine(LEAVES, UNUSUAL, beep=0.4).run()
    check_nobody_was_talked_to(world)
    assert world.heard.endswith(MESSAGE)
    assert [e.sign for e in world.entries if isinstance(e, transcript.MachineHeard)] == ["a beep after its greeting"]


def test_a_word_and_a_beep_are_a_person_and_some_machine_in_the_room() -> None:
    world = World(LEAVES, answers=lambda _: Answer(LONG))
    world.caller.say("Hello?", after=0.5)
    world.caller.beep(after=1.6)
    world.until_heard("your card.")
    assert not any(isinstance(entry, transcript.MachineHeard) for entry in world.entries)


def test_who_speaks_of_machines_later_is_a_person() -> None:
    world = World(LEAVES, answers=lambda _: Answer("I see.")).until_turn()
    for number in range(3):
        world.caller.say(f"This is question number {number}, please." if number < 2 else RECORDED)
        world.until(lambda number=number: len(world.thoughts) > number).until_turn()  # type: ignore[misc]
    assert not any(isinstance(entry, transcript.MachineHeard) for entry in world.entries)


def test_without_a_plan_no_difference_is_made() -> None:
    world = machine(PERSONA).until_heard("your card.")
    assert len(world.thoughts) == 1


def test_two_machines_do_not_talk_in_circles() -> None:
    world = World(HANGS_UP, answers=lambda _: Answer("Could you say that again?")).until_turn()
    while not world.finish:
        turns = len(world.caller_said)
        assert turns < 6, world.story()
        world.caller.say("For opening hours press one, for all else hold.")
        world.until(lambda turns=turns: len(world.caller_said) > turns).run(0.1)  # type: ignore[misc]
        while not world.finish and world.conversation.state != "listening":
            world.run(0.5)
    assert len(world.caller_said) == 3
    assert [kind for _, _, kind, _ in world.streamer.done] == ["hangup"]
    assert world.heard.endswith(PERSONA.goodbye)


@pytest.mark.parametrize("plan", [HANGS_UP, LEAVES])
@pytest.mark.parametrize("moment", range(3, 16))
def test_a_successor_does_not_talk_with_it_either(plan: Persona, moment: int) -> None:
    world = dataclasses.replace(World(plan), crashes=frozenset({moment}))
    ended = world.caller.say(RECORDED, after=0.3)
    world.caller.beep(after=ended - world.now + 0.8)
    world.run()
    check_nobody_was_talked_to(world)
    if plan is LEAVES:
        for word in set(MESSAGE.split()) - set(GREETING.split()):
            assert word in world.heard.split(), f"{word} {world.story()}"
    assert rebuilt_history(world.entries).machine


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([RECORDED, UNUSUAL, "Please leave your message after the tone.", "Hello?"]),
    st.floats(0.0, 4.0),
    st.lists(st.floats(0.1, 12.0), max_size=4),
    st.lists(st.floats(0.1, 12.0), max_size=3),
    st.booleans(),
)
def test_whatever_it_does_the_call_ends(
    greeting: str, after: float, beeps: list[float], noises: list[float], leaves: bool
) -> None:
    world = machine(LEAVES if leaves else HANGS_UP, greeting, beep=None, after=after)
    for at in beeps:
        world.caller.beep(after=at)
    spoken = after + len(greeting.split()) * 0.35
    for at in sorted(noises):
        world.caller.noise(0.5, after=spoken + at)
        spoken += 0.6
    world.run()
    assert world.finish, world.story()
    if any(isinstance(entry, transcript.MachineHeard) for entry in world.entries):
        check_nobody_was_talked_to(world) if not world.thoughts else None
        assert not leaves or MESSAGE.split()[-1] in world.heard, world.story()
