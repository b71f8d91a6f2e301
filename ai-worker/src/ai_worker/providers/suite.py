"""The providers that the settings choose, started, warmed and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass

import structlog

from ai_worker.agents import Agent
from ai_worker.prepared import PreparedSpeech
from ai_worker.providers.base import ChatMessage, LanguageModel, ProviderError, SpeechToText, TextToSpeech
from ai_worker.settings import WorkerSettings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Suite:
    """One provider for each seam. `remembers_prompts`: reading a prompt costs the language model time, once."""

    stt: SpeechToText
    llm: LanguageModel
    tts: PreparedSpeech
    remembers_prompts: bool = False

    @property
    def names(self) -> dict[str, str]:
        return {"stt": self.stt.name, "llm": self.llm.name, "tts": self.tts.name}

    async def prepare(self, agents: Iterable[Agent]) -> None:
        """Do before the first call what it would otherwise wait for. What fails here is tried again within calls."""
        agents = list(agents)
        try:
            if self.remembers_prompts:
                for agent in agents:
                    await self._read_prompt(agent)
            for sample_rate in (8000, 16000):
                await self.tts.prepare(agents, sample_rate=sample_rate)
        except ProviderError as error:
            log.warning("not everything could be prepared", error=str(error))

    async def _read_prompt(self, agent: Agent) -> None:
        prompt = (ChatMessage("system", agent.instructions.strip()), ChatMessage("assistant", agent.greeting))
        async with aclosing(self.llm.stream((*prompt, ChatMessage("user", "Hello.")))) as deltas:
            async for _ in deltas:
                return


@asynccontextmanager
async def provider_suite(settings: WorkerSettings) -> AsyncIterator[Suite]:
    """The suite, warm. Raises ProviderRefused when a provider will never work, because its key is wrong, say."""
    async with AsyncExitStack() as stack:
        stt, tts = _stt(settings), PreparedSpeech(_tts(settings))
        llm = await _llm(settings, stack)
        for provider in (stt, llm, tts):
            stack.push_async_callback(provider.aclose)
        await asyncio.gather(*(_warm(provider) for provider in (stt, llm, tts)))
        yield Suite(stt, llm, tts, remembers_prompts=settings.openai_llm_key is None)


async def _warm(provider: SpeechToText | LanguageModel | TextToSpeech) -> None:
    try:
        await provider.warm()
    except ProviderError as error:
        if not error.retryable:
            raise
        log.warning("a provider is away; calls will try it again", error=str(error))


# A provider's module is imported when it is chosen: the local ones bring hundreds of megabytes along.


def _stt(settings: WorkerSettings) -> SpeechToText:
    if key := settings.openai_stt_key:
        from ai_worker.providers.openai_stt import OpenAiTranscription

        return OpenAiTranscription(api_key=key, model=settings.openai_stt_model, base_url=settings.openai_base_url)
    from ai_worker.providers.local_stt import LocalWhisper

    return LocalWhisper()


async def _llm(settings: WorkerSettings, stack: AsyncExitStack) -> LanguageModel:
    from ai_worker.providers.openai_chat import OpenAiChat

    if key := settings.openai_llm_key:
        return OpenAiChat(
            api_key=key,
            model=settings.openai_llm_model,
            base_url=settings.openai_base_url,
            max_tokens=settings.llm_max_tokens,
        )
    from ai_worker.providers.local_llm import LocalLlamaServer

    path = str(settings.local_llm_path) if settings.local_llm_path else None
    threads, parallel = settings.local_llm_threads, settings.local_llm_parallel
    server = await asyncio.to_thread(LocalLlamaServer.start, path, threads, parallel)
    stack.push_async_callback(asyncio.to_thread, server.close)
    return OpenAiChat(
        api_key="local",
        model="local",
        name="local-llama",
        base_url=server.base_url,
        # A small model that goes on talks nonsense; its sampling is the server's default.
        max_tokens=min(60, settings.llm_max_tokens),
    )


def _tts(settings: WorkerSettings) -> TextToSpeech:
    if key := settings.elevenlabs_tts_key:
        from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech

        return ElevenLabsSpeech(
            api_key=key,
            model=settings.elevenlabs_model,
            default_voice=settings.elevenlabs_voice,
            base_url=settings.elevenlabs_base_url,
        )
    from ai_worker.providers.local_tts import LocalHibari

    return LocalHibari()
