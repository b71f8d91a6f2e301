"""Speech made before it is needed: greetings, apologies and prompts sound at once, even when the TTS is away."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from ai_worker.agents import Agent
from ai_worker.conversation.sentences import split_sentences
from ai_worker.providers.base import TextToSpeech

_Key = tuple[str, int, str, str]


class PreparedSpeech:
    """A TTS that keeps the audio of the sentences it was told to prepare, and passes everything else on."""

    def __init__(self, tts: TextToSpeech) -> None:
        self._tts = tts
        self._prepared: dict[_Key, bytes] = {}
        self.name = tts.name

    async def prepare(self, agents: Iterable[Agent], *, sample_rate: int) -> None:
        """Speak every fixed sentence of these agents once. Raises ProviderError."""
        for agent in agents:
            rules = [rule.say for rule in agent.rules if rule.say]
            for text in (
                agent.greeting,
                agent.apology,
                agent.reprompt,
                agent.goodbye,
                *agent.silence_prompts,
                *rules,
            ):
                for sentence in split_sentences(text):
                    key = (sentence, sample_rate, agent.voice, agent.language)
                    if key not in self._prepared:
                        self._prepared[key] = b"".join([pcm async for pcm in self._speak(*key)])

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
        """See TextToSpeech."""
        key = (text, sample_rate, voice, language)
        if pcm := self._prepared.get(key):
            yield pcm
            return
        async with aclosing(self._speak(*key)) as pieces:
            async for piece in pieces:
                yield piece

    async def warm(self) -> None:
        await self._tts.warm()

    async def aclose(self) -> None:
        await self._tts.aclose()

    def _speak(self, text: str, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
        return self._tts.stream(text, sample_rate=sample_rate, voice=voice, language=language)
