"""One answer of a chat model, put together from the pieces of its stream."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ai_worker.providers._text import sendable, without_half
from ai_worker.providers.base import TextDelta, ToolCall


@dataclass(slots=True)
class _Call:
    """A tool call as far as it has come."""

    id: str
    name: str = ""
    arguments: str = ""


class ChatAnswer:
    """Takes `chat.completion.chunk`s as far as they are some: compatible servers leave out this and that, or send null.

    https://platform.openai.com/docs/api-reference/chat-streaming
    """

    def __init__(self) -> None:
        self.begun = False
        self.finish_reason: str | None = None
        self.usage: object = None
        self._half = ""
        self._calls: list[_Call] = []
        self._by_index: dict[str | None, _Call] = {}

    def feed(self, chunk: object) -> Iterator[TextDelta]:
        """The text in it. Half an emoji is kept until the other half comes."""
        self.feed_usage(chunk)
        for choice in _each(chunk, "choices"):
            if finish_reason := choice.get("finish_reason"):
                self.finish_reason = str(finish_reason)
            delta = choice.get("delta")
            if isinstance(delta, dict):
                content = delta.get("content")
                if content and isinstance(content, str):
                    self.begun = True
                    content, self._half = without_half(self._half + content)
                    if text := sendable(content):
                        yield TextDelta(text)
                for call in _each(delta, "tool_calls"):
                    self.begun = True
                    self._feed_call(call)

    def feed_usage(self, chunk: object) -> None:
        """Its usage, if it has one: the whole answer's so far."""
        if isinstance(chunk, dict) and (usage := chunk.get("usage")):
            self.usage = usage

    def calls(self) -> list[ToolCall]:
        """The calls, in the order in which they began; one that the server gave no id has one like no other's."""
        return [
            ToolCall(
                sendable(call.id) or f"call_{secrets.token_hex(12)}",
                sendable(call.name),
                sendable(call.arguments) or "{}",
            )
            for call in self._calls
        ]

    def _feed_call(self, delta: dict[str, Any]) -> None:
        number, id_ = delta.get("index"), str(delta.get("id") or "")
        index = None if number is None else str(number)
        function = delta.get("function")
        function = function if isinstance(function, dict) else {}
        name = str(function.get("name") or "")
        call = self._by_index.get(index)
        if call is None or _begins_another(call, index, id_, name):
            call = self._by_index[index] = _Call(id_)
            self._calls.append(call)
        call.id = call.id or id_
        call.name += name
        call.arguments += str(function.get("arguments") or "")


def _begins_another(call: _Call, index: str | None, id_: str, name: str) -> bool:
    """Whether what has the same index as `call` is not a further piece of it."""
    # Some compatible servers number every call 0, and tell them apart by their ids. In some that number none, each
    # has its name once.
    return id_ != call.id if id_ and call.id else index is None and bool(name)


def _each(found: object, name: str) -> Iterator[dict[str, Any]]:
    values = found.get(name) if isinstance(found, dict) else None
    if isinstance(values, list):
        yield from (value for value in values if isinstance(value, dict))
