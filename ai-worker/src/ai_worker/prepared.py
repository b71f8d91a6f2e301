"""Speech made before it is needed: greetings, apologies and prompts sound at once, even when the TTS is away."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from ai_worker.agents import Agent
from ai_worker.conversation.sentences import split_sentences
from ai_worker.providers.base import TextToSpeech
from ai_worker.saying import spoken

_Key = tuple[str, int, str, str]


class PreparedSpeech:
    """A TTS that keeps the audio of the sentences it was told to prepare, and passes everything else on.

    Numbers, money, addresses are put into the words that people say for them first, for whatever voice.

    `made_by` speaks what is prepared: the preferred voice alone, for it would be heard long after another one is back.
    """

    def __init__(self, tts: TextToSpeech, made_by: TextToSpeech | None = None) -> None:
        self._tts = tts
        self._made_by = made_by or tts
        self._prepared: dict[_Key, bytes] = {}

    @property
    def name(self) -> str:
        return self._tts.name

    async def prepare(self, agents: Iterable[Agent], *, sample_rate: int) -> None:
        """Speak every fixed sentence of these agents once. Raises ProviderError."""
        for agent in agents:
            for text in agent.fixed_texts:
                for sentence in split_sentences(text):
                    language = agent.language_code
                    key = (spoken(sentence, language).text, sample_rate, agent.voice, language)
                    if key not in self._prepared:
                        self._prepared[key] = b"".join([pcm async for pcm in _speak(self._made_by, *key)])

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
        """See TextToSpeech."""
        key = (spoken(text, language).text, sample_rate, voice, language)
        if pcm := self._prepared.get(key):
            yield pcm
            return
        async with aclosing(_speak(self._tts, *key)) as pieces:
            async for piece in pieces:
                yield piece

    async def warm(self) -> None:
        await self._tts.warm()

    async def aclose(self) -> None:
        await self._tts.aclose()


def _speak(tts: TextToSpeech, text: str, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
    return tts.stream(text, sample_rate=sample_rate, voice=voice, language=language)
