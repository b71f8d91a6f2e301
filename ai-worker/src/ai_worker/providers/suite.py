"""The providers that the settings choose, started, warmed and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from ai_worker.providers.base import LanguageModel, SpeechToText, TextToSpeech
from ai_worker.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class Suite:
    """One provider for each seam."""

    stt: SpeechToText
    llm: LanguageModel
    tts: TextToSpeech

    @property
    def names(self) -> dict[str, str]:
        return {"stt": self.stt.name, "llm": self.llm.name, "tts": self.tts.name}


@asynccontextmanager
async def provider_suite(settings: WorkerSettings) -> AsyncIterator[Suite]:
    """The suite, warm. Raises ProviderError when a provider can't be used."""
    async with AsyncExitStack() as stack:
        stt, llm, tts = _stt(settings), await _llm(settings, stack), _tts(settings)
        for provider in (stt, llm, tts):
            stack.push_async_callback(provider.aclose)
        await asyncio.gather(stt.warm(), llm.warm(), tts.warm())
        yield Suite(stt, llm, tts)


def _chosen(choice: str, cloud: str, key: object) -> str:
    return choice if choice != "auto" else cloud if key else "local"


# A provider's module is imported when it is chosen: the local ones bring hundreds of megabytes along.


def _stt(settings: WorkerSettings) -> SpeechToText:
    if settings.openai_api_key and _chosen(settings.stt_provider, "openai", settings.openai_api_key) == "openai":
        from ai_worker.providers.openai_stt import OpenAiTranscription

        return OpenAiTranscription(
            api_key=settings.openai_api_key.get_secret_value(),
            model=settings.openai_stt_model,
            base_url=settings.openai_base_url,
        )
    from ai_worker.providers.local_stt import LocalWhisper

    return LocalWhisper()


async def _llm(settings: WorkerSettings, stack: AsyncExitStack) -> LanguageModel:
    from ai_worker.providers.openai_chat import OpenAiChat

    if settings.openai_api_key and _chosen(settings.llm_provider, "openai", settings.openai_api_key) == "openai":
        return OpenAiChat(
            api_key=settings.openai_api_key.get_secret_value(),
            model=settings.openai_llm_model,
            base_url=settings.openai_base_url,
            max_tokens=settings.llm_max_tokens,
        )
    from ai_worker.providers.local_llm import LocalLlamaServer

    path = str(settings.local_llm_path) if settings.local_llm_path else None
    server = await asyncio.to_thread(
        LocalLlamaServer.start, path, settings.local_llm_threads, settings.local_llm_parallel
    )
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
    if (
        settings.elevenlabs_api_key
        and _chosen(settings.tts_provider, "elevenlabs", settings.elevenlabs_api_key) == "elevenlabs"
    ):
        from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech

        return ElevenLabsSpeech(
            api_key=settings.elevenlabs_api_key.get_secret_value(),
            model=settings.elevenlabs_model,
            default_voice=settings.elevenlabs_voice,
            base_url=settings.elevenlabs_base_url,
        )
    from ai_worker.providers.local_tts import LocalHibari

    return LocalHibari()
