"""Every way a chat server can fail, as the error class the conversation acts on."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
import traceback

import pytest

from ai_worker.providers.base import ChatMessage, ProviderError, ProviderRefused, ProviderTimeout, TextDelta
from ai_worker.providers.openai_chat import OpenAiChat
from support.fake_providers import CutAfter, EndAfter, ErrorAfter, FakeOpenAI, Fault, HoldAfter, Refuse

QUESTION = [ChatMessage("user", "Hello?")]


async def failure_of(server: FakeOpenAI, fault: Fault | None = None, **settings: object) -> tuple[ProviderError, str]:
    """What the provider raised, and the text that came before it."""
    server.answer = lambda messages: "A long enough answer in many pieces."
    if fault is not None:
        server.fail_next(fault)
    options = {"api_key": server.api_key, "base_url": server.base_url} | settings
    chat = OpenAiChat(**options)  # type: ignore[arg-type]
    pieces: list[TextDelta] = []

    async def read() -> None:
        async for piece in chat.stream(QUESTION):
            assert isinstance(piece, TextDelta)
            pieces.append(piece)

    try:
        with pytest.raises(ProviderError) as failure:
            await read()
    finally:
        await chat.aclose()
    return failure.value, "".join(piece.text for piece in pieces)


@pytest.mark.parametrize(
    ("fault", "retryable", "says"),
    [
        (Refuse(400, "Unsupported parameter: 'top_k'."), False, "top_k"),
        (Refuse(401, code="invalid_api_key"), False, "key was not accepted"),
        (Refuse(403, "Country not supported."), False, "Country not supported"),
        (Refuse(404, "No such model."), False, "No such model"),
        (Refuse(429, "Rate limit reached.", code="rate_limit_exceeded"), True, "Rate limit reached"),
        (Refuse(429, "You exceeded your quota.", code="insufficient_quota"), False, "no credit"),
        (Refuse(500, "Oops."), True, "HTTP 500"),
        (Refuse(503, "Overloaded."), True, "Overloaded"),
    ],
    ids=lambda value: f"{value.status}-{value.code}" if isinstance(value, Refuse) else "",
)
async def test_a_refusal_says_whether_to_try_again(
    openai_server: FakeOpenAI, fault: Refuse, retryable: bool, says: str
) -> None:
    error, _ = await failure_of(openai_server, fault)

    assert error.retryable is retryable
    assert isinstance(error, ProviderRefused) is not retryable
    assert says in str(error)
    assert error.provider == "openai-chat"
    assert len(openai_server.requests) == 1  # the fallback is the conversation's business, not the client's


@pytest.mark.parametrize(
    ("header", "expected"),
    [("2", 2.0), ("0.5", 0.5), (None, None), ("soon", None), ("-1", None)],
)
async def test_retry_after_in_seconds(openai_server: FakeOpenAI, header: str | None, expected: float | None) -> None:
    error, _ = await failure_of(openai_server, Refuse(429, retry_after=header))

    assert error.retry_after == expected


async def test_retry_after_as_a_date(openai_server: FakeOpenAI) -> None:
    header = email.utils.formatdate(time.time() + 30, usegmt=True)
    error, _ = await failure_of(openai_server, Refuse(503, retry_after=header))

    assert error.retry_after == pytest.approx(30, abs=3)


@pytest.mark.parametrize("fault", [CutAfter(0), CutAfter(4), EndAfter(4)], ids=str)
async def test_a_cut_stream_is_retryable(openai_server: FakeOpenAI, fault: CutAfter | EndAfter) -> None:
    error, text = await failure_of(openai_server, fault)

    assert error.retryable
    assert not isinstance(error, ProviderTimeout)
    assert "A long enough answer".startswith(text[:10])
    assert bool(text) is (fault.pieces > 1)


@pytest.mark.parametrize(
    ("code", "retryable"),
    [("server_error", True), (503, True), (400, False), ("insufficient_quota", False)],
)
async def test_an_error_within_the_stream(openai_server: FakeOpenAI, code: str | int, retryable: bool) -> None:
    error, text = await failure_of(openai_server, ErrorAfter(3, code=code))

    assert text
    assert error.retryable is retryable


@pytest.mark.parametrize(
    ("hold", "awaited"),
    [
        (HoldAfter(0), "the first token did not come within 0.6 s"),
        (HoldAfter(1), "the first token did not come within 0.6 s"),
        (HoldAfter(4), "the next token did not come within 0.3 s"),
        (HoldAfter(4, comments_every=0.02), "the next token did not come within 0.3 s"),
    ],
    ids=["no answer", "the role only", "within the text", "with keep-alive comments"],
)
async def test_a_stall_is_a_timeout(openai_server: FakeOpenAI, hold: HoldAfter, awaited: str) -> None:
    began = time.monotonic()
    # What is to come in time has time enough on a busy machine.
    first = 0.6 if "first" in awaited else 10.0
    error, _ = await failure_of(openai_server, hold, first_token_timeout=first, between_tokens_timeout=0.3)

    assert isinstance(error, ProviderTimeout)
    assert error.reason == awaited
    assert time.monotonic() - began < 8
    async with asyncio.timeout(1):
        await openai_server.requests[0].disconnected.wait()


async def test_a_refused_connection_is_retryable(openai_server: FakeOpenAI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        unused = listener.getsockname()[1]
    error, _ = await failure_of(openai_server, base_url=f"http://127.0.0.1:{unused}/v1")

    assert error.retryable
    assert "connection failed" in str(error)


async def test_a_server_that_accepts_and_never_answers_is_a_timeout(openai_server: FakeOpenAI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error, _ = await failure_of(openai_server, base_url=f"http://127.0.0.1:{port}/v1", first_token_timeout=0.2)

    assert isinstance(error, ProviderTimeout)


async def test_warming_reports_a_wrong_key(openai_server: FakeOpenAI) -> None:
    chat = OpenAiChat(api_key="sk-wrong-key", base_url=openai_server.base_url)
    with pytest.raises(ProviderRefused, match="key was not accepted"):
        await chat.warm()
    await chat.aclose()


async def test_warming_passes_with_a_key_that_may_not_list_models(openai_server: FakeOpenAI) -> None:
    openai_server.fail_next(
        Refuse(403, "You have insufficient permissions for this operation. Missing scopes: api.model.read.")
    )
    chat = OpenAiChat(api_key=openai_server.api_key, base_url=openai_server.base_url)
    await chat.warm()
    await chat.aclose()


async def test_warming_has_a_deadline(openai_server: FakeOpenAI) -> None:
    openai_server.fail_next(HoldAfter(0))
    chat = OpenAiChat(api_key=openai_server.api_key, base_url=openai_server.base_url, first_token_timeout=0.1)
    with pytest.raises(ProviderTimeout):
        await chat.warm()
    await chat.aclose()


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
async def test_the_key_is_in_no_error(openai_server: FakeOpenAI, status: int) -> None:
    key = openai_server.api_key
    error, _ = await failure_of(openai_server, Refuse(status, f"Bad key {key} in header 'Bearer {key}'"))

    assert key not in str(error)
    assert key not in "".join(traceback.format_exception(error))


async def test_the_key_is_in_no_error_within_a_stream(openai_server: FakeOpenAI) -> None:
    key = openai_server.api_key
    error, _ = await failure_of(openai_server, ErrorAfter(2, message=f"Failed for {key}"))

    assert key not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("key", ["sk-secret-part\nmore", "sk-secret part", "sk-secret-é", "", "  \n"])
def test_a_key_that_cannot_be_sent_is_refused_without_quoting_it(key: str) -> None:
    with pytest.raises(ValueError, match="API key must be") as refusal:
        OpenAiChat(api_key=key)
    assert "secret" not in str(refusal.value)


async def test_a_key_file_may_end_in_a_newline(openai_server: FakeOpenAI) -> None:
    chat = OpenAiChat(api_key=f"{openai_server.api_key}\n", base_url=openai_server.base_url)
    await chat.warm()
    await chat.aclose()
