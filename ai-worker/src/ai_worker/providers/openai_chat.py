"""Streaming chat completions by OpenAI or any server that speaks its API (llama.cpp, vLLM, …)."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from openai import APIStatusError, AsyncStream

from ai_worker.providers._chat_answer import ChatAnswer
from ai_worker.providers._http_errors import OPENAI_ERRORS, is_stale_connection
from ai_worker.providers._openai_client import OPENAI_URL, OpenAiClient
from ai_worker.providers.base import ChatMessage, TextDelta, ToolCall, ToolSpec
from ai_worker.providers.usage import Told, of_chat, told_nobody

# These refuse `max_tokens` in favour of `max_completion_tokens`, which older compatible servers don't know.
NEWER_LIMIT_MODELS = ("o1", "o3", "o4", "gpt-5")
# What follows a finish reason (usage, [DONE]) comes at once; waiting for it keeps the connection usable.
TAIL_TIMEOUT_S = 0.25
# With these, a compatible server may refuse a parameter that it doesn't know.
REFUSALS = (400, 422)

Json: TypeAlias = dict[str, Any]


class OpenAiChat:
    """A LanguageModel over POST {base_url}/chat/completions.

    `temperature`, `max_tokens` and `extra_body` (further parameters of the request, as the server names them) are
    sent only when given. Times are in seconds: `first_token_timeout` counts from the request to the first text or
    tool call, connecting included; `between_tokens_timeout` from one piece of the stream to the next. `keep_warm`: see
    OpenAiClient. Raises ValueError for a key that can't be sent.
    """

    def __init__(
        self,
        *,
        api_key: str,
        model: str = "gpt-4o-mini",
        base_url: str = OPENAI_URL,
        name: str = "openai-chat",
        temperature: float | None = None,
        max_tokens: int | None = None,
        extra_body: Mapping[str, object] | None = None,
        connect_timeout: float = 2.0,
        first_token_timeout: float = 4.0,
        between_tokens_timeout: float = 3.0,
        keep_warm: bool = True,
    ) -> None:
        self.name = name
        self._model = model
        limit = "max_completion_tokens" if model.startswith(NEWER_LIMIT_MODELS) else "max_tokens"
        self._parameters: Json = {
            **({} if temperature is None else {"temperature": temperature}),
            **({} if max_tokens is None else {limit: max_tokens}),
            **(extra_body or {}),
        }
        self._first_token_timeout = first_token_timeout
        self._between_tokens_timeout = between_tokens_timeout
        self._client = OpenAiClient(
            name,
            api_key=api_key,
            base_url=base_url,
            connect_timeout=connect_timeout,
            read_timeout=max(first_token_timeout, between_tokens_timeout),
            keep_warm=keep_warm,
        )
        self._errors = self._client.errors
        self._told: Told = told_nobody
        self._usage_option = _UsageOption()

    def telling(self, told: Told) -> OpenAiChat:
        """See TellsUsage.telling. A server that refuses to be asked for usage is asked once."""
        teller = copy.copy(self)
        teller._told = told
        return teller

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[TextDelta | ToolCall]:
        """See LanguageModel.stream. A stream that ends without a finish reason raises: the answer was cut."""
        loop = asyncio.get_running_loop()
        deadline, allowed, awaited = (
            loop.time() + self._first_token_timeout,
            self._first_token_timeout,
            "the first token",
        )
        with self._client.connections.request():
            chunks = await self._open(messages, tools, deadline)
            answer = ChatAnswer()
            try:
                while (chunk := await self._next(chunks, deadline, awaited, allowed)) is not None:
                    for piece in answer.feed(chunk):
                        yield piece
                    if answer.finish_reason is not None:
                        break
                    if answer.begun:
                        allowed, awaited = self._between_tokens_timeout, "the next token"
                        deadline = loop.time() + allowed
                for call in answer.calls():
                    if answer.finish_reason == "length" and not _is_json(call.arguments):
                        raise self._errors.refused(f"the call of tool {call.name} was cut off by max_tokens: raise it")
                    if answer.finish_reason is not None:
                        yield call
                if answer.finish_reason is None:
                    raise self._errors.failed("the stream ended before the answer was complete")
                if answer.finish_reason == "content_filter" and not answer.begun:
                    raise self._errors.refused("the answer was withheld by the content filter")
                await self._drain(chunks, answer)
            finally:
                self._told(of_chat(answer.usage))
                await chunks.close()

    async def warm(self) -> None:
        """Open a connection. Raises ProviderError, also for a key that is not accepted."""
        await self._client.warm(self._first_token_timeout)

    async def aclose(self) -> None:
        """Close the connections, running answers included."""
        await self._client.aclose()

    async def _open(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec], deadline: float
    ) -> AsyncStream[object]:
        body = {
            "model": self._model,
            "messages": [_message(message) for message in messages],
            "stream": True,
            **({"tools": [_tool(tool) for tool in tools]} if tools else {}),
            **self._parameters,
        }
        option = self._usage_option
        if self._told is told_nobody or option.state == "refused":
            return await self._post(body, deadline)
        asking = {**body, "stream_options": {"include_usage": True}}
        try:
            chunks = await self._post(asking, deadline, tentatively=option.state == "untried")
        except _PerhapsTheOption:
            chunks = await self._post(body, deadline)
            option.state = "refused"
            return chunks
        option.state = "taken"
        return chunks

    async def _post(self, body: Json, deadline: float, *, tentatively: bool = False) -> AsyncStream[object]:
        stale_seen = False
        while True:
            try:
                async with self._client.connections.until(deadline, "the first token", self._first_token_timeout):
                    # Not `chat.completions.create`: its typed pieces cost more CPU than all the rest of a token's way.
                    return await self._client.sdk.post(
                        "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
                    )
            except OPENAI_ERRORS as error:
                if tentatively and isinstance(error, APIStatusError) and error.status_code in REFUSALS:
                    raise _PerhapsTheOption from None
                if stale_seen or not is_stale_connection(error):
                    raise self._errors.from_openai(error) from None
                stale_seen = True

    async def _next(self, chunks: AsyncStream[object], deadline: float, awaited: str, allowed: float) -> object:
        # The deadline is on the parsed piece: a server's keep-alive comments must not count as an answer.
        try:
            async with self._client.connections.until(deadline, awaited, allowed):
                return await anext(chunks, None)
        except OPENAI_ERRORS as error:
            raise self._errors.from_openai(error) from None

    async def _drain(self, chunks: AsyncStream[object], answer: ChatAnswer) -> None:
        # The answer is whole: whatever goes wrong now costs a new connection, not the turn.
        try:
            async with asyncio.timeout(TAIL_TIMEOUT_S):
                while (chunk := await anext(chunks, None)) is not None:
                    answer.feed_usage(chunk)
        except (TimeoutError, *OPENAI_ERRORS):
            self._client.connections.renew()


class _PerhapsTheOption(Exception):
    """A request was refused, and what asked for usage may be why."""


class _UsageOption:
    """What a server does when it is asked for usage; all of a provider's requests know it."""

    def __init__(self) -> None:
        self.state: Literal["untried", "taken", "refused"] = "untried"


def _message(message: ChatMessage) -> Json:
    wire: Json = {"role": message.role, "content": message.content}
    if message.tool_calls:
        wire["content"] = message.content or None
        wire["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        wire["tool_call_id"] = message.tool_call_id
    return wire


def _tool(tool: ToolSpec) -> Json:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
