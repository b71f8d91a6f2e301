"""Speech made before it is needed: greetings, apologies and prompts sound at once, even when the TTS is away."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from ai_worker.agents import Agent
from ai_worker.conversation import scripted
from ai_worker.providers.base import ProviderError, SaidUntil, TextToSpeech
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
        self._prepared: dict[_Key, list[bytes | SaidUntil]] = {}

    @property
    def name(self) -> str:
        return self._tts.name

    def through(self, tts: TextToSpeech) -> PreparedSpeech:
        """The same sentences, and everything else said by this TTS."""
        speech = PreparedSpeech(tts, self._made_by)
        speech._prepared = self._prepared
        return speech

    async def prepare(self, agents: Iterable[Agent], *, sample_rate: int) -> None:
        """Speak every fixed sentence of these agents once, those that have not been.

        Raises the last ProviderError after all were tried.
        """
        failed = None
        for agent in agents:
            for text in agent.fixed_texts:
                for sentence in scripted.sentences(text):
                    key = _key(sentence.text, sample_rate, agent.voice, agent.language)
                    if key not in self._prepared:
                        try:
                            self._prepared[key] = await self._made(key)
                        except ProviderError as error:
                            failed = error
        if failed:
            raise failed

    async def stream(
        self, text: str, *, sample_rate: int, voice: str, language: str
    ) -> AsyncGenerator[bytes | SaidUntil, None]:
        """See TextToSpeech; the words are those of the text as it is said (see `spoken`).

        `language` may have a region ("en-GB").
        """
        key = _key(text, sample_rate, voice, language)
        if prepared := self._prepared.get(key):
            for piece in prepared:
                yield piece
            return
        async with aclosing(_speak(self._tts, *key)) as pieces:
            async for piece in pieces:
                yield piece

    async def _made(self, key: _Key) -> list[bytes | SaidUntil]:
        pieces = [piece async for piece in _speak(self._made_by, *key)]
        pcm = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        return [*(piece for piece in pieces if isinstance(piece, SaidUntil)), pcm] if pcm else []

    async def warm(self) -> None:
        await self._tts.warm()

    async def aclose(self) -> None:
        await self._tts.aclose()


def _key(text: str, sample_rate: int, voice: str, language: str) -> _Key:
    """What a voice is given. The region is for the words ("en-GB"), the voices know languages only."""
    return (spoken(text, language).text, sample_rate, voice, language.partition("-")[0])


def _speak(
    tts: TextToSpeech, text: str, sample_rate: int, voice: str, language: str
) -> AsyncGenerator[bytes | SaidUntil, None]:
    return tts.stream(text, sample_rate=sample_rate, voice=voice, language=language)
