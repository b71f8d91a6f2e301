"""The providers' side: the fakes' latencies, as published, and what the bot says."""

from __future__ import annotations

import math
import random
import re
from itertools import pairwise
from typing import Any

from ai_worker.conversation import endpointing
from bench.moments.clips import RATE, bot_clip, to_pcm
from bench.moments.recogniser import Recogniser
from support.fake_providers import FakeElevenLabs, FakeOpenAI, one_each, tone

STT_FINAL = (0.281, 0.18)
FIRST_TOKEN = (0.350, 0.22)
TTS_FIRST_BYTE = (0.125, 0.12)
"""Median (s) and spread (sigma of a log-normal) of each provider: ElevenLabs' published 281 ms for a final transcript,
about 350 ms to a small chat model's first token, ElevenLabs' 75 ms of model time and 50 ms of network."""
TOKENS_PER_S = 80.0

GREETING = "Hello, Maple Street Library."
LONG_GREETING = (
    "Hello, and welcome to the Maple Street Library. We are open on weekdays from nine to seven, and on Saturdays from "
    "ten to four. The reading room on the first floor is closed for repairs until the end of the month. "
    "You can renew your books over the phone at any time. How can I help you today?"
)
SETUP = "Tell me about the library, please."
LONG_ANSWER = (
    "With pleasure. The library has been on Maple Street for more than eighty years. It holds about forty thousand "
    "books, and a large collection of old maps. On the ground floor there is a reading room with a view of the river. "
    "Children have a floor of their own, with a story hour every Wednesday afternoon. Would you like to know more?"
)
SHORT_ANSWERS = (
    "Certainly, I can help you with that. Let me see what I can do for you.",
    "Thank you, I have written that down. Is there anything else you need?",
    "All right, let me look that up for you. It will only take a moment.",
    "Of course. I will pass that on to my colleagues right away.",
)
LONGEST = {"greeting": LONG_GREETING, "answer": LONG_ANSWER}


def drawn(latency: tuple[float, float], what: str) -> float:
    """Seconds, drawn by what is asked: the same request always takes as long."""
    median, spread = latency
    return median * math.exp(random.Random(what).gauss(0.0, spread))


def reply(messages: list[dict[str, Any]]) -> str:
    """The language model: a long answer to the question that sets the scene, a short one to everything else."""
    last = str(messages[-1].get("content") or "")
    # A guess is asked with partial words, which may lack the full stop or a comma.
    if _spoken(last)[-len(_spoken(SETUP)) :] == _spoken(SETUP):
        return LONG_ANSWER
    return random.Random(last).choice(SHORT_ANSWERS)


def _spoken(text: str) -> list[str]:
    return endpointing.words(text)


class BotVoice:
    """All that the bot may say, spoken before the calls begin; any run of words of it can be said on its own."""

    def __init__(self) -> None:
        self._texts = [_words_of(text) for text in (GREETING, LONG_GREETING, LONG_ANSWER, *SHORT_ANSWERS)]

    def say(self, text: str) -> bytes:
        """s16le mono at 8000 Hz. What is left of a sentence that was cut is said in the same voice from there on."""
        wanted = text.split()
        for words in self._texts:
            for first in range(len(words) - len(wanted) + 1):
                found = words[first : first + len(wanted)]
                if [word for word, _ in found] == wanted:
                    return b"".join(pcm for _, pcm in found)
        return tone(text, RATE)

    def find(self, audio: bytes) -> list[tuple[int, int, str]]:
        """Its words in audio (s16le mono at 8000 Hz): first and one past the last sample, and the word."""
        found: dict[int, tuple[int, int, str]] = {}
        for word, pcm in (pair for words in self._texts for pair in words):
            at = audio.find(pcm)
            while at >= 0:
                found[at] = (at // 2, (at + len(pcm)) // 2, word)
                at = audio.find(pcm, at + len(pcm))
        return [found[at] for at in sorted(found)]


def _words_of(text: str) -> list[tuple[str, bytes]]:
    """Each word with its audio; a sentence's first one with 20 ms of silence before it, its last with 200 ms after."""
    words: list[tuple[str, bytes]] = []
    for sentence in re.split(r"(?<=[.?!])\s+", text):
        spoken = bot_clip(sentence)
        # A pause belongs to the word before it.
        starts = [*(start for start, _ in spoken.borders), len(spoken.samples)]
        pcm = [to_pcm(spoken.samples[start:end]) for start, end in pairwise(starts)]
        pcm[0], pcm[-1] = bytes(RATE // 25) + pcm[0], pcm[-1] + bytes(2 * RATE // 5)
        words += zip(sentence.split(), pcm, strict=True)
    return words


class Providers:
    """Both fakes, with latencies of their own for each request; `async with` runs them."""

    def __init__(self) -> None:
        self.recogniser = Recogniser()
        self.openai = FakeOpenAI(answer=self._reply, per_token_ms=1000 / TOKENS_PER_S)
        self.elevenlabs = FakeElevenLabs(hear=self._hear, understand=self.recogniser.so_far, speak=self._speak)
        self.voice = BotVoice()

    async def __aenter__(self) -> Providers:
        await self.openai.__aenter__()
        await self.elevenlabs.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.elevenlabs.__aexit__(*error)
        await self.openai.__aexit__(*error)

    @property
    def env(self) -> dict[str, str]:
        """The settings that lead a worker to them."""
        return one_each(self.openai, self.elevenlabs)

    # Each hook is called right before the fake looks up how long it is to take.

    def _hear(self, pcm: bytes, language: str) -> str:
        text = self.recogniser.hear(pcm, language)
        self.elevenlabs.scribe.seconds = drawn(STT_FINAL, text)
        return text

    def _reply(self, messages: list[dict[str, Any]]) -> str:
        self.openai.first_token = drawn(FIRST_TOKEN, str(messages[-1]))
        return reply(messages)

    def _speak(self, text: str, sample_rate: int) -> bytes:
        self.elevenlabs.first_byte = drawn(TTS_FIRST_BYTE, text)
        return self.voice.say(text) if sample_rate == RATE else tone(text, sample_rate)
