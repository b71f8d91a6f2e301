"""Streaming chat through the SDK against a server that speaks the API: order, tools, cancelling, connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from ai_worker.providers.base import ChatMessage, LanguageModel, ProviderError, ProviderRefused, TextDelta, ToolCall
from ai_worker.providers.base import ToolSpec as Tool
from ai_worker.providers.openai_chat import OpenAiChat
from support.fake_providers import Drop, FakeOpenAI, HoldAfter, SlowDrip, ToolRequest, Withheld
from support.openai_chat import ANSWER, chat

__all__ = ["chat"]

QUESTION = [ChatMessage("system", "You are a receptionist."), ChatMessage("user", "Are you open on Sunday?")]
WEATHER = Tool("weather", "The weather at a place.", {"type": "object", "properties": {"place": {"type": "string"}}})


async def collect(
    chat: LanguageModel, messages: Sequence[ChatMessage] = QUESTION, tools: Sequence[Tool] = ()
) -> tuple[str, list[ToolCall]]:
    pieces = [piece async for piece in chat.stream(messages, tools=tools)]
    text = "".join(piece.text for piece in pieces if isinstance(piece, TextDelta))
    return text, [piece for piece in pieces if isinstance(piece, ToolCall)]


async def test_the_answer_comes_in_pieces_and_whole(openai_server: FakeOpenAI, chat: OpenAiChat) -> None:
    pieces = [piece async for piece in chat.stream(QUESTION)]

    assert len(pieces) > 5
    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == ANSWER
    request = openai_server.requests[0]
    assert request.headers["authorization"] == f"Bearer {openai_server.api_key}"
    assert request.json == {
        "model": "gpt-4o-mini",
        "stream": True,
        "messages": [
            {"role": "system", "content": "You are a receptionist."},
            {"role": "user", "content": "Are you open on Sunday?"},
        ],
    }


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (["Great \ud83d", "\ude00 that works."], "Great \N{GRINNING FACE} that works."),
        (["Great \ud83d", " that works."], "Great  that works."),
        (["Great \ude00 that works."], "Great  that works."),
        (["Great \ud83d"], "Great "),
    ],
    ids=["cut in two", "the first half alone", "the second half alone", "at the end"],
)
async def test_an_emoji_cut_in_two_is_whole_or_left_out(
    openai_server: FakeOpenAI, chat: OpenAiChat, parts: list[str], text: str
) -> None:
    openai_server.answer = lambda messages: [*parts, ToolRequest("weather", '{"place": "abc\ud83d\ude00\ud83d"}')]

    written, (call,) = await collect(chat, tools=[WEATHER])

    assert written == text
    assert call.arguments == '{"place": "abc\N{GRINNING FACE}"}'


async def test_sampling_parameters_go_out_when_given(openai_server: FakeOpenAI) -> None:
    chat = OpenAiChat(
        api_key=openai_server.api_key,
        base_url=openai_server.base_url,
        temperature=0.3,
        max_tokens=200,
        extra_body={"repeat_penalty": 1.1, "cache_prompt": True},
    )
    await collect(chat)
    await chat.aclose()

    sent = openai_server.requests[0].json
    assert (sent["temperature"], sent["max_tokens"]) == (0.3, 200)
    assert (sent["repeat_penalty"], sent["cache_prompt"]) == (1.1, True)


async def test_newer_models_get_the_limit_under_its_newer_name() -> None:
    async with FakeOpenAI(models=["gpt-5-mini"]) as server:
        chat = OpenAiChat(api_key=server.api_key, base_url=server.base_url, model="gpt-5-mini", max_tokens=50)
        await collect(chat)
        await chat.aclose()

    assert server.requests[0].json["max_completion_tokens"] == 50
    assert "max_tokens" not in server.requests[0].json


async def test_a_piece_comes_before_the_next_is_sent(openai_server: FakeOpenAI, chat: OpenAiChat) -> None:
    go_on = asyncio.Event()
    openai_server.fail_next(HoldAfter(pieces=2, until=go_on))

    async with contextlib.aclosing(chat.stream(QUESTION)) as stream:
        first = await anext(stream)
        assert isinstance(first, TextDelta)
        assert ANSWER.startswith(first.text)
        assert openai_server.requests[0].pieces_sent == 2
        go_on.set()
        rest = [piece.text async for piece in stream if isinstance(piece, TextDelta)]
    assert first.text + "".join(rest) == ANSWER


async def test_a_tool_call_is_put_together(openai_server: FakeOpenAI, chat: OpenAiChat) -> None:
    openai_server.answer = lambda messages: ["One moment. ", ToolRequest("weather", '{"place": "Montréal"}')]

    text, calls = await collect(chat, tools=[WEATHER])

    assert text == "One moment. "
    assert [(call.name, call.arguments) for call in calls] == [("weather", '{"place": "Montréal"}')]
    assert calls[0].id.startswith("call_")
    assert openai_server.requests[0].json["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "The weather at a place.",
                "parameters": {"type": "object", "properties": {"place": {"type": "string"}}},
            },
        }
    ]


@pytest.mark.parametrize("numbered", [True, False])
async def test_two_tool_calls_stay_apart(openai_server: FakeOpenAI, chat: OpenAiChat, numbered: bool) -> None:
    openai_server.numbered_calls = numbered
    openai_server.answer = lambda messages: [ToolRequest("weather", '{"place": "Nice"}'), ToolRequest("hang_up", "")]

    _, calls = await collect(chat, tools=[WEATHER])

    assert [(call.name, call.arguments) for call in calls] == [("weather", '{"place": "Nice"}'), ("hang_up", "{}")]
    assert calls[0].id != calls[1].id


async def test_calls_without_index_and_id_stay_apart_and_have_ids_like_no_others(
    openai_server: FakeOpenAI, chat: OpenAiChat
) -> None:
    openai_server.whole_calls = True
    openai_server.answer = lambda messages: [ToolRequest("weather", '{"place": "Nice"}'), ToolRequest("hang_up", "")]

    _, first = await collect(chat, tools=[WEATHER])
    _, second = await collect(chat, tools=[WEATHER])

    assert [(call.name, call.arguments) for call in first] == [("weather", '{"place": "Nice"}'), ("hang_up", "{}")]
    assert len({call.id for call in (*first, *second)}) == 4


async def test_the_result_of_a_tool_goes_back(openai_server: FakeOpenAI, chat: OpenAiChat) -> None:
    openai_server.answer = lambda messages: (
        "It is sunny." if messages[-1]["role"] == "tool" else ToolRequest("weather", '{"place": "Nice"}')
    )
    _, (call,) = await collect(chat, tools=[WEATHER])

    messages = [
        *QUESTION,
        ChatMessage("assistant", "", tool_calls=(call,)),
        ChatMessage("tool", "sunny, 24 degrees", tool_call_id=call.id),
    ]
    text, _ = await collect(chat, messages, tools=[WEATHER])

    assert text == "It is sunny."
    asked, answered = openai_server.requests[1].json["messages"][-2:]
    assert asked["content"] is None
    assert asked["tool_calls"][0]["id"] == answered["tool_call_id"] == call.id


async def test_a_tool_call_cut_off_by_the_limit_is_not_made(openai_server: FakeOpenAI) -> None:
    openai_server.answer = lambda messages: ToolRequest("transfer", '{"number": "+33123456789"}')
    chat = OpenAiChat(api_key=openai_server.api_key, base_url=openai_server.base_url, max_tokens=3)

    with pytest.raises(ProviderRefused, match="max_tokens"):
        await collect(chat, tools=[WEATHER])
    await chat.aclose()


async def test_text_cut_off_by_the_limit_is_an_answer(openai_server: FakeOpenAI) -> None:
    openai_server.answer = lambda messages: ANSWER
    chat = OpenAiChat(api_key=openai_server.api_key, base_url=openai_server.base_url, max_tokens=3)
    text, _ = await collect(chat)
    await chat.aclose()

    assert text
    assert ANSWER.startswith(text)
    assert text != ANSWER


async def test_an_answer_that_is_withheld_is_an_error(openai_server: FakeOpenAI, chat: OpenAiChat) -> None:
    openai_server.answer = lambda messages: Withheld()

    with pytest.raises(ProviderRefused, match="content filter"):
        await collect(chat)


async def leave_by_closing(stream: AsyncIterator[TextDelta | ToolCall]) -> None:
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]


async def leave_by_cancelling(stream: AsyncIterator[TextDelta | ToolCall]) -> None:
    await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("leave", [leave_by_closing, leave_by_cancelling])
async def test_leaving_closes_the_connection(
    openai_server: FakeOpenAI, chat: OpenAiChat, leave: Callable[[AsyncIterator[TextDelta | ToolCall]], object]
) -> None:
    openai_server.fail_next(HoldAfter(pieces=3))
    stream = chat.stream(QUESTION)
    await leave(stream)  # type: ignore[misc]

    async with asyncio.timeout(1):
        await openai_server.requests[0].disconnected.wait()
    assert (await collect(chat))[0] == ANSWER  # and the client goes on


async def test_cancelling_before_the_first_token_closes_the_connection(
    openai_server: FakeOpenAI, chat: OpenAiChat
) -> None:
    openai_server.fail_next(HoldAfter(pieces=0))
    asking = asyncio.ensure_future(collect(chat))
    request = await openai_server.request()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    async with asyncio.timeout(1):
        await request.disconnected.wait()


async def test_one_warm_connection_serves_turn_after_turn(openai_server: FakeOpenAI, chat: OpenAiChat) -> None:
    await chat.warm()
    for _ in range(3):
        assert (await collect(chat))[0] == ANSWER

    assert len(openai_server.peers) == 1


async def test_a_connection_that_died_in_the_pool_costs_one_more_try(
    openai_server: FakeOpenAI, chat: OpenAiChat
) -> None:
    openai_server.fail_next(Drop())
    assert (await collect(chat))[0] == ANSWER
    assert len(openai_server.requests) == 2

    openai_server.fail_next(Drop(), Drop())
    with pytest.raises(ProviderError, match="connection failed") as failure:
        await collect(chat)
    assert failure.value.retryable
    assert len(openai_server.requests) == 4


async def test_a_missing_end_of_stream_does_not_spoil_a_whole_answer(
    openai_server: FakeOpenAI, chat: OpenAiChat
) -> None:
    openai_server.answer = lambda messages: "Yes."
    openai_server.fail_next(HoldAfter(pieces=3))  # role, text, finish reason; no [DONE]

    assert (await collect(chat))[0] == "Yes."


async def test_a_slow_model_may_take_its_time_between_tokens(openai_server: FakeOpenAI) -> None:
    openai_server.answer = lambda messages: "One two three four five six."
    openai_server.fail_next(SlowDrip(seconds=0.2))
    chat = OpenAiChat(
        api_key=openai_server.api_key,
        base_url=openai_server.base_url,
        first_token_timeout=1.2,
        between_tokens_timeout=1.2,
    )
    # Longer in all than any of its deadlines.
    assert (await collect(chat))[0] == "One two three four five six."
    await chat.aclose()
