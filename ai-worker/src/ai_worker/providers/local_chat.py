"""The local language model as a provider: starts llama.cpp's server when it is first wanted, and talks to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from ai_worker.providers._shortened import shortened
from ai_worker.providers.base import ChatMessage, TextDelta, ToolCall, ToolSpec
from ai_worker.providers.local_llm import CONTEXT_TOKENS, LocalLlamaServer
from ai_worker.providers.openai_chat import OpenAiChat

# So much of a conversation is told, however long the agent's instructions are.
LEAST_TOKENS = CONTEXT_TOKENS // 8


class LocalLlama:
    """A LanguageModel. The packaged model is too small to call tools: it is offered none.

    `model_path`, `threads` and `parallel`: see LocalLlamaServer.start; `max_tokens` an answer. Of a long conversation
    it is told the latest turns only: as many answers at once as it writes have to have room.
    """

    name = "local-llama"

    def __init__(self, *, model_path: str | None, threads: int, parallel: int, max_tokens: int) -> None:
        self._options = (model_path, threads, parallel)
        self._max_tokens = max_tokens
        self._room = CONTEXT_TOKENS // parallel - max_tokens
        self._starting: asyncio.Task[tuple[LocalLlamaServer, OpenAiChat]] | None = None

    async def stream(
        self, messages: Sequence[ChatMessage], *, tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[TextDelta | ToolCall, None]:
        """See LanguageModel.stream. Raises ProviderRefused when the server can't start."""
        chat = await self._chat()
        offered = tools if self._options[0] else ()
        known = shortened(messages, self._room, least=LEAST_TOKENS)
        async with aclosing(chat.stream(known, tools=offered)) as deltas:
            async for delta in deltas:
                yield delta

    async def warm(self) -> None:
        """Load the model. Raises ProviderError."""
        chat = await self._chat()
        await chat.warm()

    async def aclose(self) -> None:
        if self._starting is None:
            return
        await asyncio.wait([self._starting])
        if self._starting.exception() is None:
            server, chat = self._starting.result()
            await chat.aclose()
            await asyncio.to_thread(server.close)

    async def _chat(self) -> OpenAiChat:
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        # A request that is cancelled must not take the server with it.
        _, chat = await asyncio.shield(self._starting)
        return chat

    async def _start(self) -> tuple[LocalLlamaServer, OpenAiChat]:
        server = await asyncio.to_thread(LocalLlamaServer.start, *self._options)
        chat = OpenAiChat(
            api_key="local",
            model="local",
            name=self.name,
            base_url=server.base_url,
            max_tokens=self._max_tokens,
            keep_warm=False,
        )
        return server, chat
