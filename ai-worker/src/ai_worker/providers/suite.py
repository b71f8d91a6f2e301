"""The providers that the settings choose, started, warmed and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog
from pydantic import SecretStr

from ai_worker.agents import Agent, ProviderOrder
from ai_worker.prepared import PreparedSpeech
from ai_worker.providers.attempts import Counts, Link, Note, Report
from ai_worker.providers.base import ChatMessage, LanguageModel, ProviderError, SpeechToText, TextToSpeech
from ai_worker.providers.chain import LlmChain, SttChain, TtsChain
from ai_worker.settings import Seam, WorkerSettings

# With another provider at hand, a server that asks for a longer pause than this is left for the other one.
LONGEST_PAUSE_S = 0.3
LOOK_EVERY_S = 2.0
LONGEST_WAIT_S = 60.0
"""What could not be prepared is tried again after 4 s, 8 s and so on, at most this long."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Suite:
    """A chain of providers for each seam; calls speak with `tts`, which is `voices` and what was prepared with them.

    With `hears_live`, an STT that can is given the callers' speech as it is spoken. `speech` is what was prepared, by
    the order of the voices that it is for.
    """

    stt: SttChain
    llm: LlmChain
    voices: TtsChain
    counts: Counts
    hears_live: bool = True
    speech: dict[tuple[str, ...], PreparedSpeech] = field(default_factory=dict)

    @property
    def tts(self) -> PreparedSpeech:
        if self.voices.kinds not in self.speech:
            self.speech[self.voices.kinds] = PreparedSpeech(self.voices, made_by=self.voices.first())
        return self.speech[self.voices.kinds]

    @property
    def names(self) -> dict[str, str]:
        """The provider that each seam's next request goes to."""
        return {"stt": self.stt.name, "llm": self.llm.name, "tts": self.voices.name}

    def state(self) -> dict[str, Any]:
        """Each seam's providers in their order, and whether they are kept out."""
        return {"stt": self.stt.state(), "llm": self.llm.state(), "tts": self.voices.state()}

    def of(self, order: ProviderOrder) -> Suite:
        """The same providers, with the same breakers, as one agent wants them. Raises ValueError for one that isn't."""
        return replace(
            self,
            stt=self.stt.ordered(order.stt),
            llm=self.llm.ordered(order.llm),
            voices=self.voices.ordered(order.tts),
        )

    def reporting(self, report: Report, note: Note) -> Suite:
        """The same providers for one call, which is told what its requests use, and in words who took over."""
        voices = self.voices.reporting(report, note)
        return replace(
            self,
            stt=self.stt.reporting(report, note),
            llm=self.llm.reporting(report, note),
            voices=voices,
            speech={voices.kinds: self.tts.through(voices)},
        )

    async def keep_prepared(self, agents: Callable[[], Sequence[Agent]]) -> None:
        """Do ahead of the calls what they would wait for, or could not have when a provider is away; until cancelled.

        What fails is tried again, and agents that change are looked at again: `agents` gives those of now.
        """
        known: Sequence[Agent] | None = None
        pause = 0.0
        while True:
            if (now := agents()) is not known:
                known, pause = now, LOOK_EVERY_S
                whole = await self.prepare(now)
            elif not whole:
                whole = await self._speak_ahead(now)
                pause = min(2 * pause, LONGEST_WAIT_S)
            await asyncio.sleep(LOOK_EVERY_S if whole else pause)

    async def prepare(self, agents: Sequence[Agent]) -> bool:
        """Once; False when not everything could be. What fails here is tried again within calls."""
        for order, group in _by_order(agents):
            try:
                await self.of(order)._read_prompts(group)
            except ProviderError as error:
                log.warning("a prompt could not be read ahead", error=str(error))
        return await self._speak_ahead(agents)

    async def _speak_ahead(self, agents: Sequence[Agent]) -> bool:
        whole = True
        for order, group in _by_order(agents):
            tts = self.of(order).tts
            for sample_rate in (8000, 16000):
                try:
                    await tts.prepare(group, sample_rate=sample_rate)
                except ProviderError as error:
                    log.warning("not everything could be prepared", error=str(error))
                    whole = False
        return whole

    async def _read_prompts(self, agents: Sequence[Agent]) -> None:
        # To the local model, reading a prompt costs time, once.
        if self.llm.kinds[0] == "local":
            for agent in agents:
                await self._read_prompt(agent)

    async def _read_prompt(self, agent: Agent) -> None:
        agent = agent.for_call({})
        prompt = (ChatMessage("system", agent.instructions.strip()), ChatMessage("assistant", agent.greeting))
        async with aclosing(self.llm.first().stream((*prompt, ChatMessage("user", "Hello.")))) as deltas:
            async for _ in deltas:
                return


def _by_order(agents: Iterable[Agent]) -> Iterable[tuple[ProviderOrder, list[Agent]]]:
    groups: dict[ProviderOrder, list[Agent]] = {}
    for agent in agents:
        groups.setdefault(agent.providers, []).append(agent)
    return groups.items()


@asynccontextmanager
async def provider_suite(settings: WorkerSettings) -> AsyncIterator[Suite]:
    """The suite, warm: what is in a list is loaded now, what is in none is never loaded.

    Raises ProviderRefused when a preferred provider will never work, because its key is wrong, say.
    """
    counts = Counts()
    stt = SttChain(
        [Link(kind, _stt(settings, kind), model=_model(settings, "stt", kind)) for kind in settings.providers("stt")],
        deadline=settings.stt_deadline,
        counts=counts,
    )
    llm = LlmChain(
        [Link(kind, _llm(settings, kind), model=_model(settings, "llm", kind)) for kind in settings.providers("llm")],
        deadline=settings.llm_first_token_deadline,
        counts=counts,
    )
    tts = TtsChain(
        [Link(kind, _tts(settings, kind), model=_model(settings, "tts", kind)) for kind in settings.providers("tts")],
        deadline=settings.tts_first_byte_deadline,
        counts=counts,
    )
    async with AsyncExitStack() as stack:
        for chain in (stt, llm, tts):
            stack.push_async_callback(chain.aclose)
        await _all(_warm(chain) for chain in (stt, llm, tts))
        # Not beside running calls: loading the local language model holds up everything else for most of a second.
        await _all(chain.warm_others() for chain in (stt, llm, tts))
        yield Suite(stt, llm, tts, counts, hears_live=settings.stt_live)


async def _all(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        # None of them goes on connecting when another has failed: its chain is about to be closed.
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _warm(chain: SttChain | LlmChain | TtsChain) -> None:
    try:
        await chain.warm()
    except ProviderError as error:
        if not error.retryable:
            raise
        log.warning("a provider is away; calls will try it again", error=str(error))


# A provider's module is imported when it is chosen: the local ones bring hundreds of megabytes along.


def _stt(settings: WorkerSettings, kind: str) -> SpeechToText:
    if kind == "openai":
        from ai_worker.providers.openai_stt import OpenAiTranscription

        alone = len(settings.providers("stt")) == 1
        return OpenAiTranscription(
            api_key=_secret(settings.openai_api_key),
            model=settings.openai_stt_model,
            base_url=settings.openai_base_url,
            longest_pause=5.0 if alone else LONGEST_PAUSE_S,
        )
    if kind == "elevenlabs":
        from ai_worker.providers.elevenlabs_stt import ElevenLabsTranscription

        return ElevenLabsTranscription(
            api_key=_secret(settings.elevenlabs_api_key),
            model=settings.elevenlabs_stt_model,
            base_url=settings.elevenlabs_base_url,
        )
    from ai_worker.providers.local_stt import LocalWhisper

    return LocalWhisper()


def _llm(settings: WorkerSettings, kind: str) -> LanguageModel:
    if kind == "openai":
        from ai_worker.providers.openai_chat import OpenAiChat

        return OpenAiChat(
            api_key=_secret(settings.openai_api_key),
            model=settings.openai_llm_model,
            base_url=settings.openai_base_url,
            max_tokens=settings.llm_max_tokens,
        )
    from ai_worker.providers.local_chat import LocalLlama

    return LocalLlama(
        model_path=str(settings.local_llm_path) if settings.local_llm_path else None,
        threads=settings.local_llm_threads,
        parallel=settings.local_llm_parallel,
        # A small model that goes on talks nonsense; its sampling is the server's default.
        max_tokens=min(60, settings.llm_max_tokens),
    )


def _tts(settings: WorkerSettings, kind: str) -> TextToSpeech:
    if kind == "elevenlabs":
        from ai_worker.providers.elevenlabs_tts import ElevenLabsSpeech

        return ElevenLabsSpeech(
            api_key=_secret(settings.elevenlabs_api_key),
            model=settings.elevenlabs_model,
            default_voice=settings.elevenlabs_voice,
            base_url=settings.elevenlabs_base_url,
        )
    if kind == "openai":
        from ai_worker.providers.openai_tts import OpenAiSpeech

        return OpenAiSpeech(
            api_key=_secret(settings.openai_api_key),
            model=settings.openai_tts_model,
            default_voice=settings.openai_tts_voice,
            base_url=settings.openai_base_url,
        )
    from ai_worker.providers.local_tts import LocalHibari

    return LocalHibari()


def _model(settings: WorkerSettings, seam: Seam, kind: str) -> str:
    """What a provider is set to use; "" for the local ones."""
    models = {
        ("stt", "openai"): settings.openai_stt_model,
        ("stt", "elevenlabs"): settings.elevenlabs_stt_model,
        ("llm", "openai"): settings.openai_llm_model,
        ("tts", "openai"): settings.openai_tts_model,
        ("tts", "elevenlabs"): settings.elevenlabs_model,
    }
    return models.get((seam, kind), "")


def _secret(key: SecretStr | None) -> str:
    return key.get_secret_value() if key else ""
