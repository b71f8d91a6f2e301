"""A tool that takes its time: the caller hears of it, may speak meanwhile, and is told the result. On virtual time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from ai_worker.agent_tools import HttpTool
from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.persona import Persona, TurnTaking
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.providers.base import ChatMessage, ToolCall
from callbus import transcript
from support.conversation_driver import Driver, said
from support.conversation_world import START, Answer, Work, World

FILLER = "Let me look that up for you."
WAITS = ("It takes a little longer.", "I am still on it.")
RESULT = "It left our house this morning."
CALL = ToolCall("t0", "lookup", "{}")
PERSONA = Persona("Hello there.", fillers={"lookup": FILLER}, long_waits=WAITS)


def model(before: str = "") -> Callable[[tuple[ChatMessage, ...]], Answer]:
    """It looks the order up once, tells its result once, and has something to say to whatever else."""

    def answers(messages: tuple[ChatMessage, ...]) -> Answer:
        [found] = [message.content for message in messages if message.role == "tool"] or [""]
        heard = " ".join(message.content for message in messages if message.role == "assistant")
        if not found:
            return Answer(before, calls=(CALL,))
        if "this morning" in found and RESULT not in heard:
            return Answer(RESULT)
        return Answer("I am still looking it up." if "still running" in found else "Is there anything else?")

    return answers


def asked(
    takes: float, *, before: str = "", persona: Persona = PERSONA, crashes: frozenset[int] = frozenset()
) -> World:
    world = World(
        persona, answers=model(before), tools=lambda _: Work(takes, "It left this morning."), crashes=crashes
    ).until_turn()
    world.caller.say("Where is my order?")
    return world.until(lambda: bool(world.written(transcript.ToolUsed)))


def silence_until_heard(world: World, words: str) -> float:
    """How long (s) it was silent at most, from now on."""
    since = world.now
    world.until_heard(words)
    return max(length - max(0.0, since - at) for at, length in world.silences() if at + length > since)


@pytest.mark.parametrize("takes", [7.0, 15.0, 29.9])
def test_the_caller_is_told_again_and_again_that_it_is_waited_for(takes: float) -> None:
    world = asked(takes)
    assert silence_until_heard(world, RESULT) < 6.0
    words = [entry.text for entry in world.written(transcript.BotSays)][1:-1]
    expected = [FILLER, *WAITS * 3]
    assert words == expected[: len(words)]
    assert len(words) == 1 + int((takes - 0.8) // 6)
    assert world.heard.endswith(RESULT)


def test_what_the_bot_says_first_only_puts_the_word_off() -> None:
    before = "I will check where your order may be and tell you in a moment or two."
    world = asked(12.0, before=before)
    assert silence_until_heard(world, RESULT) < 6.0
    assert [entry.text for entry in world.written(transcript.BotSays)][1:] == [before, FILLER, WAITS[0], RESULT]


def test_no_more_words_are_no_more_words() -> None:
    world = asked(15.0, persona=dataclasses.replace(PERSONA, long_waits=())).until_heard(RESULT)
    assert [entry.text for entry in world.written(transcript.BotSays)][1:] == [FILLER, RESULT]


def test_a_tool_may_take_as_long_as_an_agents_file_can_say() -> None:
    [longest] = [rule.le for rule in HttpTool.model_fields["timeout_s"].metadata if hasattr(rule, "le")]
    assert longest < TurnTaking().tool_limit


def test_a_caller_who_asks_meanwhile_is_answered_and_told_the_result_when_it_comes() -> None:
    world = asked(9.0).until_heard(FILLER)
    world.caller.say("Hello, are you there?")
    world.until_heard("I am still looking it up.")
    [told] = [message.content for message in world.thoughts[-1].messages if message.role == "tool"]
    assert told == "It is still running. Its result follows by itself: do not call this again."
    world.until_heard(RESULT).until_turn()
    assert world.now - START < 9.0 + 8.0
    assert [entry.state for entry in world.written(transcript.ToolUsed)] == ["asked", "done"]
    *_, call, result = world.thoughts[-1].messages
    assert call.tool_calls == (CALL,)
    assert (result.role, result.content) == ("tool", "It left this morning.")
    # It is told once.
    world.run(5.0)
    assert len(world.thoughts) == 3


def test_while_it_runs_the_caller_is_not_asked_whether_he_is_there() -> None:
    world = asked(28.0).until_heard(FILLER)
    world.caller.say("Hello, are you there?")
    assert silence_until_heard(world, RESULT) < 6.5
    texts = [entry.text for entry in world.written(transcript.BotSays)]
    assert texts == ["Hello there.", FILLER, "I am still looking it up.", *WAITS, WAITS[0], RESULT]


def test_a_result_that_comes_while_the_bot_answers_follows_the_answer() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.later(1.0)
    driver.caller_says("Hello, are you there?")
    driver.deaf = True
    driver.tell(ev.ReplyText(driver.thought.reply, "Yes, I am here and I am still looking. "))
    driver.tell(ev.ToolDone("call_1", "on its way"))
    driver.tell(ev.ReplyText(driver.thought.reply, "It takes a little longer today."))
    driver.tell(ev.ReplyDone(driver.thought.reply))
    thoughts = len(driver.of(act.Think))
    for sentence in driver.of(act.Say)[-2:]:
        assert len(driver.of(act.Think)) == thoughts
        driver.hear(sentence)
    assert len(driver.of(act.Think)) == thoughts + 1
    last = driver.thought.messages[-1]
    assert (last.role, "the result of a tool has come" in last.content) == ("system", True)
    assert "on its way" in [message.content for message in driver.thought.messages]


def test_a_result_that_comes_while_the_caller_speaks_is_in_the_answer() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.later(1.0)
    driver.caller_says("Hello, are you there?")
    driver.tell(ev.ReplyText(driver.thought.reply, "Yes, I am here and I am still looking. "))
    driver.tell(ev.ReplyDone(driver.thought.reply))
    thoughts = len(driver.of(act.Think))
    driver.tell(ev.SpeechStarted(8000, 200))
    driver.tell(ev.ToolDone("call_1", "on its way"))
    assert len(driver.of(act.Think)) == thoughts
    driver.tell(ev.SpeechStopped(9000, 200, driver.now))
    request = driver.of(act.Transcribe)[-1]
    driver.tell(ev.Transcribed(request.utterance, request.revision, "And when do you close?"))
    driver.later(3.0)
    assert driver.thought.messages[-1] == ChatMessage("user", "And when do you close?")
    driver.tell(ev.ReplyText(driver.thought.reply, "It is on its way and we close at six."))
    driver.tell(ev.ReplyDone(driver.thought.reply))
    driver.later(2.0)
    assert said(driver)[-1] == "It is on its way and we close at six."
    assert driver.thought.messages[-1] == ChatMessage("user", "And when do you close?")


def test_a_muted_bot_tells_the_result_when_it_may_speak_again() -> None:
    world = asked(6.0).until_heard(FILLER)
    world.operator("mute")
    world.run(8.0)
    assert RESULT not in world.heard
    world.operator("unmute")
    world.until_heard(RESULT)


def test_one_that_never_answers_is_given_up_though_the_caller_has_gone_on() -> None:
    world = asked(3600.0).until_heard(FILLER)
    world.caller.say("Hello, are you there?")
    world.until(lambda: world.written(transcript.ToolUsed)[-1].state == "failed")
    assert world.now - world.written(transcript.ToolUsed)[0].at == pytest.approx(TurnTaking().tool_limit)
    world.until_heard("Is there anything else?")


def test_a_successor_tells_a_result_that_the_dead_worker_could_not() -> None:
    entries = asked(9.0).entries
    world = asked(9.0, crashes=frozenset())
    world.until_heard(FILLER)
    world.caller.say("Hello, are you there?")
    world.until(lambda: world.written(transcript.ToolUsed)[-1].state == "done")
    world.crash()
    world.until_heard(RESULT)
    assert world.heard.count(RESULT) == 1
    # One that it knows nothing of may have been done.
    unknown = rebuilt_history(entries).messages("")[-1]
    assert "It may have been done: do not call this again." in unknown.content
