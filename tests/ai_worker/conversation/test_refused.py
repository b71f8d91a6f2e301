"""What the streamer can't do: the caller is told so at once, and the conversation goes on. On virtual time."""

from __future__ import annotations

import dataclasses

import pytest

from ai_worker.conversation.persona import Scripted
from ai_worker.conversation.rebuild import rebuilt_history
from support.conversation_library import ANNOUNCEMENT, LONG, PERSONA, last_thought, library
from support.conversation_world import Answer

SORRY = PERSONA.not_possible


@pytest.mark.parametrize(("wish", "kind"), [("A human, please.", "transfer"), ("Press one.", "digits")])
def test_the_caller_is_told_and_can_go_on(wish: str, kind: str) -> None:
    world = library().until_turn()
    world.streamer.refuses = frozenset({kind})
    world.caller.say(wish)
    world.until_heard(SORRY).until_turn()
    asked_at = world.streamer.asked[0][0]
    assert len(world.streamer.asked) == 1
    assert world.action_states[-1] == (kind, "refused")
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("your card.")
    assert ("assistant", SORRY) in [(role, text[-len(SORRY) :]) for role, text in last_thought(world)]
    # At once: nobody waited for an answer that never comes.
    sorry_at = next(heard.at for heard in world.wire.heard(world.now) if heard.word == "sorry,")
    assert sorry_at - asked_at < 1.5


def test_a_successor_asks_again_and_is_refused_as_well() -> None:
    world = library().until_turn()
    world.streamer.refuses = frozenset({"transfer"})
    world.caller.say("A human, please.")
    world.until(lambda: ("transfer", "asked") in world.action_states).crash()
    world.until_heard(SORRY).until_turn()
    assert world.heard.count(ANNOUNCEMENT) == 1
    history = rebuilt_history(world.entries)
    assert (history.pending, history.outcome) == (None, None)


def test_a_way_out_that_is_refused_becomes_a_goodbye() -> None:
    persona = dataclasses.replace(PERSONA, fallback_number="0")
    world = library(persona=persona, answers=lambda _: Answer("", ends="fails")).until_turn()
    world.streamer.refuses = frozenset({"transfer"})
    for _ in range(3):
        world.caller.say("Can I borrow a laptop?")
        world.run(1.0).until(lambda: bool(world.finish) or world.conversation.state in ("listening", "leaving"))
    world.run()
    assert [kind for _, _, kind, _ in world.streamer.done] == ["hangup"]
    assert world.heard.endswith(PERSONA.goodbye)


def test_an_opening_that_is_refused_is_no_silence() -> None:
    persona = dataclasses.replace(PERSONA, opening=Scripted("We are closed.", "transfer", "0"))
    world = library(persona=persona)
    world.streamer.refuses = frozenset({"transfer"})
    world.until_heard(SORRY).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard(LONG)
