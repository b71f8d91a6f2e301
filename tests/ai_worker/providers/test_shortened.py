"""A long conversation for a model with little room: its oldest turns are left out, whole, and many at once."""

from __future__ import annotations

import pytest

from ai_worker.providers._shortened import shortened, tokens_in
from ai_worker.providers.base import ChatMessage, ToolCall

INSTRUCTIONS = ChatMessage("system", "You are a library.")
GO_ON = ChatMessage("system", "Your last answer broke off.")


def conversation(turns: int) -> list[ChatMessage]:
    """Every third turn uses a tool."""
    messages = [INSTRUCTIONS, ChatMessage("assistant", "Hello, this is the library.")]
    for number in range(turns):
        messages.append(ChatMessage("user", f"Question {number}, as long as one may be?"))
        if number % 3 == 0:
            call = ToolCall(f"call_{number}", "lookup", '{"order": "7"}')
            messages += [ChatMessage("assistant", "", (call,)), ChatMessage("tool", "found", tool_call_id=call.id)]
        messages.append(ChatMessage("assistant", f"Answer {number}, as long as one may be."))
    return [*messages, ChatMessage("user", "And then?"), GO_ON]


def size(messages: list[ChatMessage]) -> int:
    return sum(map(tokens_in, messages))


def test_what_has_room_stays_as_it_is() -> None:
    messages = conversation(10)
    assert shortened(messages, size(messages), least=0) == messages


@pytest.mark.parametrize("turns", range(20, 60, 3))
def test_the_oldest_turns_are_left_out_whole(turns: int) -> None:
    messages = conversation(turns)
    kept = shortened(messages, 500, least=0)
    assert 150 < size(kept) <= 500
    assert kept[0] == INSTRUCTIONS
    assert kept[1].role == "user"
    assert [INSTRUCTIONS, *messages[-len(kept) + 1 :]] == kept


def test_the_beginning_stays_the_same_for_many_turns() -> None:
    beginnings = [shortened(conversation(turns), 500, least=0)[1].content for turns in range(20, 80)]
    assert len(set(beginnings)) < 60 / 4


def test_long_instructions_leave_room_for_the_latest_turns() -> None:
    messages = [ChatMessage("system", "Rule. " * 1000), *conversation(40)[1:]]
    kept = shortened(messages, 500, least=200)
    assert kept[0] == messages[0]
    assert 60 < size(kept[1:]) <= 200 + tokens_in(GO_ON)
    assert shortened(messages, 0, least=0) == [messages[0], *messages[-2:]]
