"""A conversation in as many tokens as a model has room for: its oldest turns are left out."""

from __future__ import annotations

from collections.abc import Sequence

from ai_worker.providers.base import ChatMessage

# English has four letters to a token, other languages fewer, and what is no ASCII takes more than a byte a letter.
BYTES_PER_TOKEN = 3
# What a chat template puts around a message.
TOKENS_PER_MESSAGE = 8


def tokens_in(message: ChatMessage) -> int:
    """How many tokens a message takes, rather too many than too few."""
    calls = "".join(call.name + call.arguments for call in message.tool_calls)
    return len((message.content + calls).encode()) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE


def shortened(messages: Sequence[ChatMessage], tokens: int, *, least: int) -> list[ChatMessage]:
    """At most `tokens` of them, what the system says included, and `least` or more for the rest, whatever that says.

    What the system says stays, and so does the last turn. A turn begins with what the caller says, so that a tool's
    call and its result go together. Many are left out at once: the beginning then stays the same for many turns, and a
    server that knows it has only the end to read.
    """
    turns = _turns(messages)
    room = max(least, tokens - sum(tokens_in(message) for message in messages if message.role == "system"))
    excess = sum(map(_size, turns)) - room
    if excess <= 0:
        return list(messages)
    step = max(1, room // 2)
    to_leave_out = -(-excess // step) * step
    left_out: set[int] = set()
    for turn in turns[:-1]:
        if to_leave_out <= 0:
            break
        to_leave_out -= _size(turn)
        left_out.update(index for index, _ in turn)
    return [message for index, message in enumerate(messages) if index not in left_out]


_Turn = list[tuple[int, ChatMessage]]


def _turns(messages: Sequence[ChatMessage]) -> list[_Turn]:
    """What is said turn by turn, each message with its place; what the system says belongs to none."""
    turns: list[_Turn] = []
    for index, message in enumerate(messages):
        if message.role == "system":
            continue
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append((index, message))
    return turns


def _size(turn: _Turn) -> int:
    return sum(tokens_in(message) for _, message in turn)
