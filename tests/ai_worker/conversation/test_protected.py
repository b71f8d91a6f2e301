"""What the law wants said is heard whole, whatever the caller does; and what the caller said meanwhile is answered."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ai_worker.conversation.persona import Persona, Scripted
from callbus import transcript
from support.conversation_library import GREETING, LONG, PERSONA, library
from support.conversation_world import Answer, World

NOTICE = "This call is recorded, and what you say is kept for thirty days."
MENU = "You can ask for opening hours, for books, for laptops, for rooms, and for a great many other things besides."
PARTLY = Persona(f"Hello there. <<{NOTICE}>> {MENU}")


def begin(persona: Persona) -> World:
    return World(persona, answers=lambda _: Answer(LONG))


def test_an_interruption_before_it_is_over_waits_for_its_last_word_and_then_counts() -> None:
    world = begin(PARTLY).until_heard("Hello there.")
    world.caller.say("Can I borrow a laptop?", seconds=1.2)
    world.until_heard("thirty days.")
    assert world.streamer.broken == []
    world.until_heard("your card.")
    # All of the notice, hardly any of what followed it, the answer.
    assert f"Hello there. {NOTICE}" in world.heard
    assert "a great many" not in world.heard
    assert world.heard.endswith(LONG)
    assert world.caller_said == ["Can I borrow a laptop?"]


def test_who_still_speaks_when_it_is_over_interrupts_then() -> None:
    world = begin(PARTLY).until_heard("kept for")
    world.caller.say("Could you please tell me whether I can borrow a laptop today?", seconds=4.0)
    world.until_heard("thirty days.").run(0.3)
    assert len(world.streamer.broken) == 1
    world.until_heard("your card.")
    assert "great many" not in world.heard


def test_what_follows_it_can_be_interrupted() -> None:
    world = begin(PARTLY).until_heard("for books,")
    world.caller.say("Can I borrow a laptop?")
    world.run(0.5)
    assert len(world.streamer.broken) == 1
    world.until_heard("your card.")


@pytest.mark.parametrize("sound", ["noise", "yeah"])
def test_noise_and_backchannels_change_nothing(sound: str) -> None:
    world = begin(PARTLY).until_heard("This call")
    if sound == "noise":
        world.caller.noise(0.8)
    else:
        world.caller.say("Yeah.")
    world.until_turn()
    assert world.heard == f"Hello there. {NOTICE} {MENU}"


def test_keys_wait_for_it_too() -> None:
    world = begin(PARTLY).until_heard("This call")
    world.caller.press("42#")
    world.until(lambda: bool(world.thoughts))
    assert f"Hello there. {NOTICE}" in world.heard
    assert "great many" not in world.heard
    assert world.caller_said == ["(pressed 42)"]


def test_a_rules_answer_can_be_protected() -> None:
    script = {"The menu, please.": Scripted(f"<<{MENU}>>")}
    world = begin(dataclasses.replace(PERSONA, script=script.get)).until_turn()
    world.caller.say("The menu, please.")
    world.until_heard("for rooms,")
    world.caller.say("No, wait, can I borrow a laptop?")
    world.until_heard("your card.")
    assert world.heard.endswith(f"{MENU} {LONG}")


def test_what_the_model_writes_is_never_protected() -> None:
    world = library(answers=lambda _: Answer(f"<<{MENU}>>")).until_turn()
    world.caller.say("The menu, please.")
    world.until_heard("opening hours,")
    world.caller.say("No, wait.")
    world.run(0.5)
    assert len(world.streamer.broken) == 1


@pytest.mark.parametrize("lost", [0.5, 3.0])
def test_after_a_lost_connection_the_rest_of_it_is_said(lost: float) -> None:
    world = begin(PARTLY).until_heard("This call is")
    world.lose_line(lost)
    world.caller.say("Hello? Are you there?", after=lost + 0.1)
    world.until(lambda: bool(world.thoughts))
    assert " ".join(world.heard.split()[: len(NOTICE.split()) + 2]) == f"Hello there. {NOTICE}"


@pytest.mark.parametrize("after", [0.3, 2.0, 3.5])
def test_a_successor_keeps_it_too(after: float) -> None:
    world = begin(PARTLY).until_heard("Hello there.")
    world.run(0.3).crash()
    world.caller.say("Can I borrow a laptop?", after=after)
    world.until_heard("your card.")
    assert f"Hello there. {NOTICE}" in world.heard
    assert "great many" not in world.heard
    assert world.heard.endswith(LONG)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["says", "noise", "presses"]), st.floats(0.0, 2.5)), max_size=5),
    st.none() | st.floats(0.1, 6.0),
    st.none() | st.floats(0.1, 6.0),
)
def test_whatever_happens_it_is_heard_whole_and_once(
    deeds: list[tuple[str, float]], crash: float | None, loss: float | None
) -> None:
    world = begin(PARTLY)
    after = 0.0
    for deed, pause in deeds:
        after += pause
        match deed:
            case "says":
                world.caller.say("Can I borrow a laptop?", after=after)
                after += 1.8
            case "noise":
                world.caller.noise(0.6, after=after)
                after += 0.8
            case _:
                world.caller.press("1", after=after)
    if crash is not None:
        world.later(crash, world.crash)
    if loss is not None:
        world.later(loss, lambda: world.lose_line(1.0))
    world.until_heard("thirty days.").until_turn().run(4.0)
    spoken = [entry.text for entry in world.entries if isinstance(entry, transcript.BotSays) and entry.protected]
    assert spoken[0] == NOTICE, world.story()
    assert f"Hello there. {NOTICE}" in world.heard, world.story()
    assert world.heard.count("thirty") == 1, world.story()


def test_a_whole_agent_can_be_deaf_to_interruptions_and_still_answers() -> None:
    world = library(persona=Persona(GREETING, allow_interruptions=False)).until_heard("this is")
    world.caller.say("Can I borrow a laptop?", seconds=1.0)
    world.until_heard("your card.")
    assert world.streamer.broken == []
