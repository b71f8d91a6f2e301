"""What the model's tools want done on the line: each once, in order, and the model knows what was not. Virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ai_worker.conversation import events as ev
from ai_worker.conversation.history import INTERRUPTED
from ai_worker.conversation.persona import Persona, Scripted
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.providers.base import ChatMessage, ToolCall
from callbus import transcript
from support.conversation_world import Answer, Work, World

SOON = "It is done when you have finished speaking."
MARIA = "Certainly, connecting you to Maria right now, please hold the line."
GOODBYE = "Many thanks, dear caller. Goodbye!"
WISHES = {
    "transfer": Scripted(MARIA, "transfer", "33187654321"),
    "hang_up": Scripted(GOODBYE, "hangup"),
    "press_digits": Scripted("", "digits", "1"),
    "play_audio": Scripted("", "play", "https://cdn.example.com/music.mp3"),
}


def tools(call: ToolCall) -> Work:
    wish = WISHES.get(call.name)
    return Work(0.0, SOON, wish) if wish else Work(0.4, "Order seven is on its way.")


def results(messages: tuple[ChatMessage, ...]) -> dict[str, str]:
    return {message.tool_call_id or "": message.content for message in messages if message.role == "tool"}


def model(*names: str, then: str = "") -> Callable[[tuple[ChatMessage, ...]], Answer]:
    """It calls these tools, and those that it is told were not done again; then it says `then`."""

    def answers(messages: tuple[ChatMessage, ...]) -> Answer:
        called = [call for message in messages for call in message.tool_calls]
        told = {call.name: results(messages)[call.id] for call in called}
        missing = [name for name in names if "NOT done" in told.get(name, "NOT done")]
        calls = tuple(ToolCall(f"t{len(called) + at}", name, "{}") for at, name in enumerate(missing))
        return Answer(then if called else "", calls=calls)

    return answers


def talk(answers: Callable[[tuple[ChatMessage, ...]], Answer], *crashes: int) -> World:
    persona = Persona("Hello there.", line_tools=frozenset(WISHES))
    world = World(persona, answers=answers, tools=tools, crashes=frozenset(crashes)).until_turn()
    world.caller.say("Please do it.")
    return world


def done(world: World) -> list[str]:
    return [kind for _, _, kind, _ in world.streamer.done]


@pytest.mark.parametrize(("tool", "kind", "words"), [("transfer", "transfer", MARIA), ("hang_up", "hangup", GOODBYE)])
def test_the_model_knows_that_what_the_caller_interrupted_was_not_done_and_can_do_it_again(
    tool: str, kind: str, words: str
) -> None:
    world = talk(model(tool)).until_heard(" ".join(words.split()[:2]))
    world.caller.say("Okay, bye.")
    world.until(lambda: len(world.thoughts) == 2)
    assert results(world.thoughts[-1].messages) == {"t0": INTERRUPTED}
    assert done(world) == []
    # Who reads the transcript sees the same, wherever it ends.
    states = [(entry.state, entry.result) for entry in world.written(transcript.ToolUsed)]
    assert states == [("asked", ""), ("done", SOON), ("failed", INTERRUPTED)]
    dropped = next(at for at, e in enumerate(world.entries) if isinstance(e, transcript.Acted) and e.state == "dropped")
    for length in range(dropped + 1, len(world.entries)):
        assert results(rebuilt_history(world.entries[:length]).messages("")) == {"t0": INTERRUPTED}
    world.run()
    assert done(world) == [kind]
    assert world.heard.endswith(words)


def test_what_is_asked_for_together_is_done_in_order_each_with_its_announcement() -> None:
    world = talk(model("press_digits", "hang_up")).run()
    assert done(world) == ["digits", "hangup"]
    assert world.heard == f"Hello there. {GOODBYE}"
    assert world.action_states == [
        ("digits", "planned"),
        ("hangup", "planned"),
        *(("digits", state) for state in ("asked", "done")),
        *(("hangup", state) for state in ("asked", "done")),
    ]


LENGTH = len(talk(model("press_digits", "hang_up")).run().entries)


@pytest.mark.parametrize("moment", range(1, LENGTH))
def test_so_it_is_whenever_a_worker_dies(moment: int) -> None:
    world = talk(model("press_digits", "hang_up"), moment).run()
    assert done(world) == ["digits", "hangup"], world.story()
    assert world.heard == f"Hello there. {GOODBYE}", world.story()


def test_what_is_left_to_do_is_not_done_when_the_caller_speaks_before_it() -> None:
    world = talk(model("press_digits", "hang_up", then="What else?")).until_heard("Many thanks,")
    world.caller.say("No, wait.")
    world.until(lambda: len(world.thoughts) == 2)
    assert done(world) == ["digits"]
    assert results(world.thoughts[-1].messages) == {"t0": SOON, "t1": INTERRUPTED}


def test_a_result_in_the_same_round_is_told_before_the_line_is_acted_on() -> None:
    world = talk(model("get_order", "transfer", then="Your order is coming.")).run()
    assert world.heard == f"Hello there. Your order is coming. {MARIA}"
    assert done(world) == ["transfer"]
    assert results(world.thoughts[-1].messages) == {"t0": "Order seven is on its way.", "t1": SOON}


ORDER_LENGTH = len(talk(model("get_order", "transfer", then="Your order is coming.")).run().entries)


@pytest.mark.parametrize("moment", range(1, ORDER_LENGTH))
def test_so_it_is_whenever_a_worker_dies_between_result_and_action(moment: int) -> None:
    world = talk(model("get_order", "transfer", then="Your order is coming."), moment).run()
    assert done(world) == ["transfer"], world.story()
    assert world.heard.endswith(MARIA), world.story()
    assert world.heard.count(MARIA) == 1, world.story()
    # Said again, at worst, where the model was asked to go on: it is this one that does not heed what was said.
    assert "Your order is coming." in world.heard, world.story()


@pytest.mark.parametrize(
    ("first", "kind", "why"),
    [("transfer", "transfer", "the call is left before."), ("play_audio", "play", "a file is played before, and")],
)
def test_nothing_follows_a_transfer_or_a_file_whose_end_nobody_tells(first: str, kind: str, why: str) -> None:
    world = talk(model(first, "press_digits"))
    world.until(lambda: bool(world.streamer.done)).run(0.5)
    assert done(world) == [kind]
    used = {entry.tool_call_id: (entry.state, entry.result) for entry in world.written(transcript.ToolUsed)}
    assert used["t0"] == ("done", SOON)
    assert used["t1"][0] == "failed"
    assert used["t1"][1].startswith(f"It was not done: {why}")


def test_what_was_to_follow_an_action_that_is_refused_is_not_done_and_the_model_knows() -> None:
    world = talk(model("press_digits", "transfer", then="What else?"))
    world.streamer.refuses = frozenset({"digits"})
    world.until_heard("that is not possible right now.").until_turn()
    assert world.action_states[-2:] == [("digits", "refused"), ("transfer", "dropped")]
    told = results(rebuilt_history(world.entries).messages(""))
    assert told["t0"].startswith("It was not done, and can't be:")
    assert told["t1"].startswith("It was not done, for what was to be done before it can't be.")
    assert done(world) == []


def test_a_wish_whose_answer_comes_after_the_caller_has_gone_on_is_not_granted() -> None:
    world = talk(model("press_digits", then="What else?"))
    world.tools = lambda call: Work(3600.0, SOON)
    world.until(lambda: len(world.written(transcript.ToolUsed)) == 1)
    world.caller.say("No, do not.")
    world.until_heard("What else?").until_turn()
    world.worker.tell(ev.ToolDone("t0", SOON, WISHES["press_digits"]))
    world.run(1.0)
    assert done(world) == []
    assert results(world.conversation.history.messages("")) == {"t0": INTERRUPTED}
