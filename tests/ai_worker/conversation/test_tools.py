"""The language model's tools: run once, waited for with a word, told of to the model, followed by what they ask for."""

from __future__ import annotations

import dataclasses

from ai_worker.conversation import actions as act
from ai_worker.conversation import events as ev
from ai_worker.conversation.persona import Scripted
from ai_worker.conversation.rebuild import rebuilt_history
from ai_worker.providers.base import ChatMessage, ToolCall
from callbus import transcript
from support.conversation_driver import CALL, LOOKUP, PERSONA, Driver, said


def test_a_tools_result_goes_to_the_model_which_answers() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    assert driver.thought.tools == (LOOKUP,)
    assert driver.of(act.UseTool) == [act.UseTool(CALL)]
    driver.tell(ev.ToolDone("call_1", '{"status": "on its way"}'))
    assert driver.thought.messages[-2:] == (
        ChatMessage("assistant", "", (CALL,)),
        ChatMessage("tool", '{"status": "on its way"}', tool_call_id="call_1"),
    )
    driver.tell(ev.ReplyText(driver.thought.reply, "It is on its way to you."))
    driver.tell(ev.ReplyDone(driver.thought.reply))
    assert said(driver)[-1] == "It is on its way to you."
    states = [entry.state for entry in driver.entries if isinstance(entry, transcript.ToolUsed)]
    assert states == ["asked", "done"]


def test_what_was_said_before_the_call_counts_as_said_though_it_is_still_to_be_heard() -> None:
    driver = Driver()
    driver.tell(ev.Begin())
    driver.caller_says("Where is my order?")
    driver.deaf = True
    driver.tell(ev.ReplyText(driver.thought.reply, "I see. Let me have a look at your order. "))
    driver.tell(ev.ToolAsked(driver.thought.reply, CALL))
    driver.tell(ev.ReplyDone(driver.thought.reply))
    first, *_ = driver.of(act.Say)[1:]
    driver.tell(ev.Played("started", first.segment, 0, 1000, driver.now))
    # A noise in the first sentence: both wait, and will be said.
    driver.tell(ev.SpeechStarted(3000, 200))
    driver.tell(ev.SpeechSustained())
    driver.tell(ev.Played("cut", first.segment, 0, 1000, driver.now))
    driver.tell(ev.Played("idle", "", 0, 0, driver.now))
    driver.tell(ev.ToolDone("call_1", "on its way"))
    said_before, result = driver.thought.messages[-2:]
    assert said_before == ChatMessage("assistant", "I see. Let me have a look at your order.", (CALL,))
    assert result == ChatMessage("tool", "on its way", tool_call_id="call_1")


def test_a_slow_tool_is_waited_for_with_a_word_and_a_dead_one_not_for_ever() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.later(1.0)
    assert said(driver)[-1] == "Let me look that up."
    assert driver.of(act.UseTool) == [act.UseTool(CALL)]
    driver.later(40.0)
    assert len(driver.of(act.UseTool)) == 1
    assert "did not answer in time" in driver.thought.messages[-1].content
    # Its answer comes after all: nothing is done with it.
    thoughts = len(driver.of(act.Think))
    driver.tell(ev.ToolDone("call_1", "late"))
    assert len(driver.of(act.Think)) == thoughts


def test_the_result_is_the_last_that_the_model_sees_whatever_was_said_meanwhile() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.later(1.0)
    driver.tell(ev.ToolDone("call_1", "on its way"))
    said_while_waiting, result = driver.thought.messages[-2:]
    assert said_while_waiting == ChatMessage("assistant", "Let me look that up.", (CALL,))
    assert result == ChatMessage("tool", "on its way", tool_call_id="call_1")
    # A successor sees the same.
    rebuilt = rebuilt_history(driver.entries).messages("Be brief.")
    assert rebuilt == driver.thought.messages


def test_a_quick_tool_needs_no_filler() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.later(0.5)
    driver.tell(ev.ToolDone("call_1", "done"))
    driver.later(2.0)
    assert "Let me look that up." not in said(driver)


def test_a_transfer_follows_when_its_announcement_was_heard() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.deaf = True
    driver.tell(ev.ToolDone("call_1", "soon", Scripted("I will put you through.", "transfer", "33187654321")))
    announcement = driver.of(act.Say)[-1]
    assert announcement.text == "I will put you through."
    assert driver.of(act.Act) == []
    driver.hear(announcement)
    [transfer] = driver.of(act.Act)
    assert (transfer.kind, transfer.argument) == ("transfer", "33187654321")


def test_an_interrupted_announcement_is_no_transfer() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.deaf = True
    driver.tell(ev.ToolDone("call_1", "soon", Scripted("I will put you through now.", "transfer", "33187654321")))
    driver.tell(ev.Played("started", driver.of(act.Say)[-1].segment, 0, 2000, driver.now))
    driver.caller_says("No, please wait.")
    driver.later(5.0)
    assert [action for action in driver.of(act.Act) if action.kind == "transfer"] == []


def test_what_a_tool_did_is_known_even_when_the_caller_has_gone_on() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.caller_says("Never mind, what time is it?")
    driver.tell(ev.ToolDone("call_1", "cancelled order 7"))
    driver.tell(ev.ReplyText(driver.thought.reply, "It is noon."))
    driver.tell(ev.ReplyDone(driver.thought.reply))
    driver.caller_says("And my order?")
    contents = [message.content for message in driver.thought.messages]
    assert "cancelled order 7" in contents
    assert driver.thought.messages[-1].content == "And my order?"


def test_a_call_id_that_comes_again_is_not_run_again() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.tell(ev.ToolDone("call_1", "done"))
    driver.tell(ev.ToolAsked(driver.thought.reply, CALL))
    driver.tell(ev.ReplyText(driver.thought.reply, "All is well."))
    driver.tell(ev.ReplyDone(driver.thought.reply))
    assert driver.of(act.UseTool) == [act.UseTool(CALL)]
    assert said(driver)[-1] == "All is well."


def test_calls_of_a_server_that_counts_each_answers_from_0_are_all_run() -> None:
    driver = Driver()
    driver.tell(ev.Begin())
    for order in ("7", "8"):
        driver.caller_says(f"Where is order {order}?")
        driver.tell(ev.ToolAsked(driver.thought.reply, ToolCall("call_0", "lookup", f'{{"order": "{order}"}}')))
        driver.tell(ev.ReplyDone(driver.thought.reply))
        driver.tell(ev.ToolDone(driver.of(act.UseTool)[-1].call.id, f"{order} is on its way"))
        driver.tell(ev.ReplyText(driver.thought.reply, "It is on its way."))
        driver.tell(ev.ReplyDone(driver.thought.reply))
    first, second = (action.call for action in driver.of(act.UseTool))
    assert (first.id, second.arguments) == ("call_0", '{"order": "8"}')
    assert [
        (message.tool_calls, message.tool_call_id, message.content)
        for message in driver.thought.messages
        if message.role == "tool" or message.tool_calls
    ] == [
        ((first,), None, ""),
        ((), "call_0", "7 is on its way"),
        ((second,), None, ""),
        ((), second.id, "8 is on its way"),
    ]


def test_two_calls_of_one_answer_with_one_id_are_two_calls() -> None:
    driver = Driver()
    driver.tell(ev.Begin())
    driver.caller_says("Where are my orders?")
    for order in ("7", "8", "8"):
        driver.tell(ev.ToolAsked(driver.thought.reply, ToolCall("call_0", "lookup", f'{{"order": "{order}"}}')))
    driver.tell(ev.ReplyDone(driver.thought.reply))
    calls = [action.call for action in driver.of(act.UseTool)]
    assert [call.arguments for call in calls] == ['{"order": "7"}', '{"order": "8"}']
    assert calls[0].id != calls[1].id


def test_a_model_that_only_calls_tools_is_stopped_and_excused() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    for number in range(2, 12):
        done = driver.of(act.UseTool)[-1].call.id
        driver.tell(ev.ToolDone(done, "done"))
        driver.tell(ev.ToolAsked(driver.thought.reply, dataclasses.replace(CALL, id=f"call_{number}")))
        driver.tell(ev.ReplyDone(driver.thought.reply))
    assert len(driver.of(act.UseTool)) == 4
    assert said(driver)[-1] == PERSONA.apology


def test_a_successor_knows_the_result_and_does_not_run_the_tool_again() -> None:
    first = Driver()
    first.asked_for_a_tool()
    for entries, known in (
        (first.entries, False),
        ([*first.entries, transcript.ToolUsed(1.0, 1, "call_1", "lookup", CALL.arguments, "done", "on its way")], True),
    ):
        second = Driver(rebuilt_history(entries), prefix="2")
        second.tell(ev.Begin(30.0))
        second.tell(ev.Played("idle", "", 0, 0, second.now))
        assert second.of(act.UseTool) == []
        result = second.thought.messages[-1]
        assert result.role == "tool"
        assert ("on its way" in result.content) is known
        assert ("not known" in result.content) is not known


def states(driver: Driver) -> list[str]:
    return [entry.state for entry in driver.entries if isinstance(entry, transcript.ToolUsed)]


def test_a_tool_that_failed_is_written_down_as_failed_and_the_model_is_told_the_same_words() -> None:
    told = []
    for failed in (False, True):
        driver = Driver()
        driver.asked_for_a_tool()
        driver.tell(ev.ToolDone("call_1", "lookup failed on its side (status 500).", failed=failed))
        assert states(driver) == ["asked", "failed" if failed else "done"]
        told.append(driver.thought.messages)
    assert told[0] == told[1]


def test_a_tool_that_does_not_answer_in_time_is_written_down_as_failed_once() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.later(60.0)
    driver.tell(ev.ToolDone("call_1", "on its way"))
    assert states(driver) == ["asked", "failed"]


def test_a_failed_tools_result_stands_where_any_result_stands_for_a_successor() -> None:
    shown = []
    for state in ("done", "failed"):
        driver = Driver()
        driver.asked_for_a_tool()
        driver.later(1.0)
        result = transcript.ToolUsed(driver.now, 1, "call_1", "lookup", CALL.arguments, state, "no answer")
        history = rebuilt_history([*driver.entries, result, result])
        shown.append((history.messages("Be brief."), history.unanswered))
    assert shown[0] == shown[1]
    assert shown[0][0][-1] == ChatMessage("tool", "no answer", tool_call_id="call_1")
    assert shown[0][1]


def test_what_a_tool_announced_and_the_line_refused_is_told_to_caller_and_model() -> None:
    driver = Driver()
    driver.asked_for_a_tool()
    driver.tell(ev.ToolDone("call_1", "It is done.", Scripted("I will put you through.", "transfer", "33")))
    [asked] = driver.of(act.Act)
    driver.tell(ev.ActionRefused(asked.action_id, "expected 2 to 20 digits"))
    assert said(driver)[-2:] == ["I am sorry, that is not possible right now.", "What else can I do for you?"]
    driver.caller_says("Oh. What now?")
    [result] = [message for message in driver.thought.messages if message.role == "tool"]
    assert result.content == "It was not done, and can't be: expected 2 to 20 digits"
    # A successor knows it, too.
    assert rebuilt_history(driver.entries).messages("Be brief.") == driver.thought.messages


def test_a_notice_is_said_to_its_end() -> None:
    notice = dataclasses.replace(PERSONA, notice="This call may be recorded.")
    driver = Driver(persona=notice)
    driver.deaf = True
    driver.tell(ev.Begin())
    driver.tell(ev.Played("started", driver.of(act.Say)[0].segment, 0, 2000, driver.now))
    driver.tell(ev.SpeechStarted(1000, 200))
    driver.tell(ev.SpeechSustained())
    assert driver.of(act.StopSpeaking) == []
    assert said(driver) == ["Hello, how can I help you?", "This call may be recorded."]


def test_out_of_hours_the_opening_stands_in_for_the_greeting() -> None:
    closed = dataclasses.replace(PERSONA, opening=Scripted("We are closed. Goodbye.", "hangup"))
    driver = Driver(persona=closed)
    driver.tell(ev.Begin())
    assert said(driver) == ["We are closed. Goodbye."]
    assert [action.kind for action in driver.of(act.Act)] == ["hangup"]


def test_after_the_most_turns_the_bot_says_goodbye() -> None:
    short = dataclasses.replace(PERSONA, most_turns=1)
    driver = Driver(persona=short)
    driver.tell(ev.Begin())
    driver.caller_says("One question.")
    driver.tell(ev.ReplyText(driver.thought.reply, "One answer, gladly given."))
    driver.tell(ev.ReplyDone(driver.thought.reply))
    driver.caller_says("Another question.")
    assert said(driver)[-1] == short.goodbye
    assert [action.kind for action in driver.of(act.Act)] == ["hangup"]
