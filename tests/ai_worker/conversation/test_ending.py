"""How calls end, and that each does once. On virtual time."""

from __future__ import annotations

import dataclasses

import pytest

from ai_worker.conversation import actions as act
from ai_worker.conversation.events import ActionDone
from callbus import transcript
from support.conversation_library import PERSONA, library
from support.conversation_world import START, World


def test_the_caller_hangs_up_in_the_middle_of_a_word() -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two hours")
    world.caller.hang_up()
    world.run()
    assert world.finish
    assert world.finish.outcome == "caller_left"
    assert world.worker.conversation.next_wake is None


@pytest.mark.parametrize("interrupting", [False, True])
def test_the_longest_call_ends_politely_whatever_the_caller_does(interrupting: bool) -> None:
    world = library(persona=dataclasses.replace(PERSONA, longest_call_s=60.0))
    for index in range(40):
        world.caller.say("And another thing, please.", after=4.0 + index * 5.0)
        if interrupting:
            world.caller.press("1#", after=4.1 + index * 2.0)
    world.run()
    assert world.heard.endswith("I will hang up now. Goodbye.")
    assert world.now < START + 70
    assert [kind for _, _, kind, _ in world.streamer.done] == ["hangup"]


def test_a_streamer_that_does_not_answer_is_asked_again_and_given_up() -> None:
    world = library().until_turn()
    world.caller.say("A human, please.")
    world.until_heard("colleague")
    world.streamer.act = lambda action_id, kind, argument: world.streamer.asked.append((world.now, action_id, kind))  # type: ignore[method-assign]
    world.run()
    assert len(world.streamer.asked) == 3
    assert len({action_id for _, action_id, _ in world.streamer.asked}) == 1
    assert world.finish == act.Finish("failed", "the streamer did not answer")


def test_a_streamer_that_says_nothing_at_all_does_not_keep_the_call_for_ever() -> None:
    world = library()
    world.run(0.1)
    world.streamer.die()
    world.run()
    assert world.finish
    assert world.now < START + 120


def test_the_longest_call_counts_what_other_workers_have_had_of_it() -> None:
    world = library(persona=dataclasses.replace(PERSONA, longest_call_s=60.0)).until_turn()
    for index in range(20):
        world.caller.say("And another thing, please.", after=1.0 + index * 5.0)
    world.run(30.0)
    world.crash()
    world.run()
    assert world.heard.endswith("I will hang up now. Goodbye.")
    assert 60 <= world.now - START < 70


@pytest.mark.parametrize("crash", [False, True], ids=["same worker", "its successor"])
def test_a_bot_that_has_left_does_not_wait_for_the_end_for_ever(crash: bool) -> None:
    world = library().until_turn()
    world.caller.say("A human, please.")
    # Transferred, and the media connection stays open.
    world.streamer.act = lambda action_id, *_: world.worker.tell(ActionDone(action_id))  # type: ignore[method-assign]
    world.until(lambda: ("transfer", "done") in world.action_states)
    left = world.now
    if crash:
        world.crash()
    world.run(2.0)
    world.caller.say("Is anybody there?")
    world.run()
    assert world.finish == act.Finish("transferred", "the media connection stayed open")
    assert world.now - left < 15
    assert len(world.written(transcript.Finished)) == 1
    assert world.thoughts == []


def test_who_talks_over_the_last_goodbye_does_not_keep_the_call_open() -> None:
    world = World(dataclasses.replace(PERSONA, most_turns=1)).until_turn()
    world.caller.say("One two three?")
    world.until(lambda: len(world.caller_said) == 1).until_turn()
    world.caller.say("And four?")
    world.until_heard("hang up")
    world.caller.say("Wait, I am not done yet.")
    world.run(20.0)
    assert world.caller_said == ["One two three?", "And four?"]
    assert world.finish
    assert world.finish.outcome == "bot_ended"
