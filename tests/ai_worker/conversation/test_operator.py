"""A person at the console speaks, silences the bot, puts the caller through, hangs up. On virtual time."""

from __future__ import annotations

import pytest

from ai_worker.conversation.persona import Persona
from ai_worker.providers.base import ChatMessage
from callbus import transcript
from callbus.media import Wish
from support.conversation_world import Answer, World

GREETING = "Hello, this is the library. How can I help you?"
LINE = "One moment, I am looking that up for you."
LONG = "Our opening hours are as follows: " + " ".join(f"day{number}" for number in range(40)) + "."
NUMBER = "33187654321"


def long_answers(_messages: tuple[ChatMessage, ...]) -> Answer:
    return Answer(LONG)


def in_a_long_answer() -> World:
    world = World(answers=long_answers).until_turn()
    world.caller.say("When are you open?")
    return world.until_heard("day3")


def test_a_line_is_said_at_once_and_stays_in_the_history() -> None:
    world = World().until_turn()
    asked = world.now
    world.operator("say", LINE)
    world.until_heard("One moment,")
    assert world.now - asked < 1.5
    world.until_turn()
    assert world.heard == f"{GREETING} {LINE}"
    world.caller.say("Thank you so much.")
    world.until(lambda: bool(world.thoughts))
    assert ChatMessage("assistant", f"{GREETING} {LINE}") in world.thoughts[-1].messages
    [note] = world.notes
    assert note.endswith(": say")


def test_a_line_takes_the_place_of_what_the_bot_is_saying_and_can_be_interrupted() -> None:
    world = in_a_long_answer()
    world.operator("say", f"Listen to {LINE} {LONG}")
    world.until_heard("for you.")
    assert "day20" not in world.heard
    world.caller.say("No, wait a moment please.")
    world.until(lambda: len(world.caller_said) == 2)
    assert "day39" not in world.heard


def test_a_line_waits_for_what_the_caller_is_saying_and_then_answers_it() -> None:
    world = World().until_turn()
    world.caller.say("I would like to know " * 4 + "about laptops.")
    world.operator("say", LINE, after=2.0)
    world.until_heard("for you.").until_turn()
    assert world.heard == f"{GREETING} {LINE}"
    assert len(world.caller_said) == 1


def test_a_line_is_said_after_a_noise_that_it_waited_for() -> None:
    world = World().until_turn()
    world.caller.noise(2.0)
    world.operator("say", LINE, after=1.0)
    world.until_heard("for you.")
    assert world.heard == f"{GREETING} {LINE}"


def operators(world: World) -> list[str]:
    """The sentences that are marked as an operator's."""
    return [entry.text for entry in world.entries if isinstance(entry, transcript.BotSays) and entry.by_operator]


def test_a_line_is_written_down_as_the_operators_and_nothing_else_is() -> None:
    world = World(answers=long_answers).until_turn()
    world.operator("say", f"{LINE} Please stay on the line.")
    world.until_heard("on the line.").until_turn()
    world.caller.say("When are you open?")
    world.until_heard("day3")
    assert operators(world) == [LINE, "Please stay on the line."]


def test_a_line_is_the_operators_too_when_it_goes_on_after_a_noise_or_in_another_worker() -> None:
    world = World().until_turn()
    world.operator("say", LINE)
    world.until_heard("One moment,")
    world.caller.noise(0.6)
    world.until_heard("for you.").until_turn()
    assert operators(world) == sentences_after(world, GREETING)
    assert len(operators(world)) > 1

    world = World().until_turn()
    world.operator("say", f"{LONG} {LINE}")
    world.until_heard("day3")
    world.crash()
    world.until_heard("for you.").until_turn()
    assert operators(world) == sentences_after(world, GREETING)
    assert len(operators(world)) > 2


def sentences_after(world: World, greeting: str) -> list[str]:
    said = [entry.text for entry in world.entries if isinstance(entry, transcript.BotSays)]
    return [text for text in said if text not in greeting]


def test_marks_in_a_line_protect_nothing() -> None:
    world = World().until_turn()
    world.operator("say", f"<<{LINE}>>")
    world.until_heard("for you.")
    said = [entry for entry in world.entries if isinstance(entry, transcript.BotSays)][-1]
    assert (said.text, said.protected) == (LINE, False)


@pytest.mark.parametrize("wish", ["say", "transfer", "hang_up"])
def test_whatever_crashes_nothing_is_said_or_done_twice(wish: Wish) -> None:
    argument = {"say": LINE, "transfer": NUMBER, "hang_up": ""}[wish]
    for crash in range(1, 12):
        world = World(crashes=frozenset({crash}))
        world.operator(wish, argument, after=5.0)
        world.run(20.0)
        said = " ".join(entry.heard_text for entry in world.entries if isinstance(entry, transcript.BotHeard))
        assert said.count("looking that up") <= 1, world.story()
        assert world.heard.count("looking that up") <= 1, world.story()
        acted = [entry for entry in world.entries if isinstance(entry, transcript.Acted)]
        if wish != "say":
            assert len({entry.action_id for entry in acted}) == 1, world.story()
            assert world.finish, world.story()
            assert world.finish.outcome == {"transfer": "transferred", "hang_up": "bot_ended"}[wish]
            assert [done[1] for done in world.streamer.done].count(acted[0].action_id) <= 1
        elif crash not in lost_at():
            assert LINE in world.heard, (crash, world.story())


def lost_at() -> set[int]:
    """The one moment at which a line is lost: its note is written, the line is not."""
    world = World().until_turn()
    world.operator("say", LINE)
    world.until_heard("for you.")
    return {index for index, entry in enumerate(world.entries, 1) if isinstance(entry, transcript.Noted)}


def test_hanging_up_cuts_what_is_being_said() -> None:
    world = in_a_long_answer()
    world.operator("hang_up")
    world.run()
    assert "day20" not in world.heard
    assert world.action_states == [("hangup", "asked"), ("hangup", "done")]
    assert world.finish
    assert world.finish.outcome == "bot_ended"


def test_a_transfer_goes_to_any_number_and_to_nothing_else() -> None:
    world = in_a_long_answer()
    world.operator("transfer", "not a number")
    world.operator("transfer", NUMBER, after=1.0)
    world.operator("transfer", "33100000000", after=1.05)
    world.run()
    acted = {(entry.kind, entry.argument) for entry in world.entries if isinstance(entry, transcript.Acted)}
    assert acted == {("transfer", NUMBER)}
    assert [note.partition(": ")[2] for note in world.notes] == [
        "transfer (not done: expected a number of 2 to 20 digits)",
        "transfer",
        "transfer (not done: the bot is leaving the call)",
    ]


def test_a_transfer_that_is_refused_is_noted_and_the_call_goes_on() -> None:
    world = World().until_turn()
    world.streamer.refuses = frozenset({"transfer"})
    world.operator("transfer", NUMBER)
    world.until(lambda: "transfer refused: it can't be done" in world.notes)
    world.caller.say("Are you open today?", after=1.0)
    world.until_heard("a fine question indeed.")
    assert world.heard == f"{GREETING} That is a fine question indeed."


def test_a_muted_bot_falls_silent_and_writes_down_what_it_hears() -> None:
    world = in_a_long_answer()
    world.operator("mute")
    world.run(1.0)
    heard, thought = world.heard, len(world.thoughts)
    world.caller.say("Hello? Is anybody there?", after=1.0)
    world.caller.noise(1.5, after=10.0)
    world.caller.press("12#", after=15.0)
    world.run(120.0)
    assert world.heard == heard
    assert len(world.thoughts) == thought
    assert world.caller_said[1:] == ["Hello? Is anybody there?", "(pressed 12)"]
    assert not world.finish


def test_a_line_is_said_by_a_muted_bot() -> None:
    world = World().until_turn()
    world.operator("mute")
    world.operator("say", LINE, after=1.0)
    world.run(6.0)
    assert world.heard == f"{GREETING} {LINE}"
    world.caller.say("Thank you so much.")
    world.run(60.0)
    assert world.heard == f"{GREETING} {LINE}"
    assert world.caller_said == ["Thank you so much."]


def test_a_bot_that_may_speak_again_answers_what_nobody_has() -> None:
    world = World().until_turn()
    world.operator("mute")
    world.caller.say("Are you open today?", after=1.0)
    world.operator("unmute", after=20.0)
    world.until_heard("a fine question indeed.")
    assert world.caller_said == ["Are you open today?"]


def test_a_bot_that_may_speak_again_minds_the_silence() -> None:
    world = World().until_turn()
    world.operator("mute")
    world.operator("unmute", after=60.0)
    world.run(62.0)
    assert world.heard == GREETING
    world.run(9.0)
    assert world.heard == f"{GREETING} Are you still there?"


def test_the_next_worker_is_as_silent() -> None:
    world = World().until_turn()
    world.operator("mute")
    world.run(1.0)
    world.crash()
    world.caller.say("Are you open today?", after=5.0)
    world.run(40.0)
    assert world.heard == GREETING
    world.operator("unmute")
    world.until_heard("a fine question indeed.")
    assert [note.partition(": ")[2] for note in world.notes if note.startswith("operator")] == ["mute", "unmute"]


def test_the_longest_call_ends_a_muted_bots_too() -> None:
    world = World(Persona(GREETING, longest_call_s=60.0, goodbye="Goodbye then.")).until_turn()
    world.operator("mute")
    world.run()
    assert world.heard == f"{GREETING} Goodbye then."
    assert world.finish
    assert world.finish.outcome == "bot_ended"
