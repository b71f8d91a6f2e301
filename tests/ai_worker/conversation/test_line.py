"""What the bot does on the line, and what the line does to the conversation. On virtual time."""

from __future__ import annotations

import pytest

from ai_worker.conversation.sentences import split_sentences
from support.conversation_library import ANNOUNCEMENT, GREETING, LONG, library, script
from support.conversation_line import MS_PER_CHAR
from support.conversation_world import Answer, Latency


def test_a_transfer_is_done_only_when_its_announcement_was_heard() -> None:
    world = library().until_turn()
    world.caller.say("A human, please.")
    world.run()
    [(done_at, _, kind, number)] = world.streamer.done
    assert (kind, number) == ("transfer", "33187654321")
    last = world.wire.heard(world.now)[-1]
    assert (last.word, last.at <= done_at) == ("now.", True)
    assert world.action_states == [("transfer", "planned"), ("transfer", "asked"), ("transfer", "done")]
    assert world.finish
    assert world.finish.outcome == "transferred"


def test_an_interrupted_announcement_means_no_transfer() -> None:
    world = library().until_turn()
    world.caller.say("A human, please.")
    world.until_heard("I will put")
    world.caller.say("No, wait, I have a question.")
    world.until_heard("your card.").until_turn()
    assert world.streamer.asked == []
    assert world.action_states == [("transfer", "planned"), ("transfer", "dropped")]


def test_noise_over_an_announcement_only_delays_the_transfer() -> None:
    world = library().until_turn()
    world.caller.say("A human, please.")
    world.until_heard("I will put")
    world.caller.noise(0.6)
    world.run()
    assert world.heard == f"{GREETING} {ANNOUNCEMENT}"
    assert [kind for _, _, kind, _ in world.streamer.done] == ["transfer"]


def test_a_second_wish_after_an_interrupted_announcement_is_done_once() -> None:
    world = library().until_turn()
    world.caller.say("A human, please.")
    world.until_heard("I will put")
    world.caller.say("A human, please.")
    world.run()
    assert [kind for _, _, kind, _ in world.streamer.done] == ["transfer"]
    assert world.heard.endswith(ANNOUNCEMENT)


@pytest.mark.parametrize("wish", ["Goodbye.", "A human, please."])
@pytest.mark.parametrize("early", [0.3, 0.25, 0.0, -0.2])
def test_what_is_said_over_the_last_word_of_a_farewell_does_not_bring_the_bot_back(wish: str, early: float) -> None:
    world = library(latency=Latency(stt=0.1)).until_turn()
    world.caller.say(wish)
    farewell = script(wish.lower())
    assert farewell
    planned = world.until(lambda: bool(world.action_states)).now
    world.run(0.2)
    begun = next(start for start, _ in world.wire.sounding() if start > planned)
    last = begun + sum(len(sentence) for sentence in split_sentences(farewell.say)) * MS_PER_CHAR / 1000
    world.caller.say("Thanks a lot.", after=last - early - world.now, seconds=0.29)
    world.run()
    assert len(world.streamer.done) == 1
    assert world.caller_said == [wish]
    assert world.thoughts == []
    assert world.finish
    assert world.finish.outcome in ("bot_ended", "transferred")


@pytest.mark.parametrize("seconds", [0.5, 3.0, 9.0])
@pytest.mark.parametrize("silently", [False, True], ids=["told", "streamer gone"])
def test_a_lost_connection_is_taken_up_where_it_broke(seconds: float, silently: bool) -> None:
    world = library().until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("for two hours")
    heard = world.heard
    world.lose_line(seconds, silently=silently)
    world.until_heard("your card.", limit=30).until_turn()
    rest = world.heard.removeprefix(heard).strip()
    if silently:
        # Nobody knows what was heard of the sentence that broke off: it is said again, whole; the next one once.
        assert rest.endswith(LONG)
    else:
        assert f"{heard} {rest}" == f"{GREETING} {LONG}"
    assert world.heard.count(GREETING) == 1


def test_a_connection_lost_before_the_answer_came() -> None:
    world = library(answers=lambda _: Answer(LONG, first_token=1.0)).until_turn()
    world.caller.say("Can I borrow a laptop?")
    world.until(lambda: len(world.thoughts) == 1)
    world.lose_line(4.0)
    world.until_heard("your card.", limit=30).until_turn()
    assert world.heard == f"{GREETING} {LONG}"


def test_a_connection_lost_during_the_announcement() -> None:
    world = library().until_turn()
    world.caller.say("A human, please.")
    world.until_heard("I will put")
    world.lose_line(3.0)
    world.run()
    assert world.heard == f"{GREETING} {ANNOUNCEMENT}"
    assert [kind for _, _, kind, _ in world.streamer.done] == ["transfer"]


def test_an_action_asked_for_while_the_connection_is_lost_is_done_once_when_it_is_back() -> None:
    world = library().until_turn()
    world.caller.say("A human, please.")
    world.until(lambda: ("transfer", "asked") in world.action_states)
    world.lose_line(4.0)
    world.run()
    assert [kind for _, _, kind, _ in world.streamer.done] == ["transfer"]
    assert world.finish
    assert world.finish.outcome == "transferred"


def test_digits_are_pressed_after_what_was_said_and_the_call_goes_on() -> None:
    world = library().until_turn()
    world.caller.say("Press two.")
    world.until(lambda: bool(world.streamer.done)).run(1.0)
    assert world.heard.endswith("one moment please.")
    world.caller.say("Can I borrow a laptop?")
    world.until_heard("your card.")
    assert [kind for _, _, kind, _ in world.streamer.done] == ["digits"]
