"""The providers of the benches: local servers with the real APIs, published latencies from a seeded distribution, and a
memory of which request belongs to which turn."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from support.fake_providers import FakeElevenLabs, FakeOpenAI, Piece, RequestRecord, tone
from support.fake_providers.openai_api import tokens

STT_MS, STT_SPREAD = 281.0, 0.15
"""ElevenLabs' realtime transcription, published p50; the spread (sigma of the logarithm) is this project's guess."""
FIRST_TOKEN_MS, FIRST_TOKEN_SPREAD = 350.0, 0.2
PER_TOKEN_MS = 15.0
FIRST_BYTE_MS, FIRST_BYTE_SPREAD = 75.0, 0.15
"""ElevenLabs' Flash v2.5, published model time."""

CALLER_IN_PROMPT = re.compile(r"Caller: (\d+)")
INSTRUCTIONS = "You answer the phone. Be brief. Caller: {caller_number}"


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long the providers take: medians in ms with the spread of a log-normal distribution; `seed` repeats them."""

    seed: int = 1
    stt_ms: float = STT_MS
    first_token_ms: float = FIRST_TOKEN_MS
    per_token_ms: float = PER_TOKEN_MS
    first_byte_ms: float = FIRST_BYTE_MS

    def drawn(self, median_ms: float, spread: float, salt: str) -> Callable[[], float]:
        """Seconds, one after the other."""
        generator = random.Random(f"{self.seed} {salt}")
        return lambda: median_ms / 1000 * math.exp(generator.gauss(0.0, spread))


def names() -> Iterator[str]:
    """Words that look like words, none of them twice."""
    consonants, vowels = "bdfgklmnprstvz", "aeiou"
    syllables = ["".join(pair) for pair in product(consonants, vowels)]
    random.Random(7).shuffle(syllables)
    return ("".join(parts) for parts in product(syllables, repeat=3))


@dataclass(slots=True)
class Asked:
    """What was asked of the providers about one transcript, whose text contains `name`."""

    name: str
    stt: RequestRecord
    llm: RequestRecord | None = None
    tts: RequestRecord | None = None
    tts_text: str = ""


@dataclass(slots=True)
class Desk:
    """Gives every utterance a text of its own, so that an answer's requests are known to belong together."""

    answer: Callable[[str], str] = lambda name: f"The {name} is here until noon. Anything else?"
    asked: dict[str, Asked] = field(default_factory=dict)
    turns: dict[tuple[str, int], Asked] = field(default_factory=dict)
    """By caller's number and turn (from 1): the latest that the model was asked about."""
    _names: Iterator[str] = field(default_factory=names)

    def heard(self, record: RequestRecord) -> str:
        name = next(self._names)
        self.asked[name] = Asked(name, record)
        return f"What about the {name}?"

    def thought(self, record: RequestRecord, messages: list[dict[str, Any]]) -> str:
        said = [str(message["content"]) for message in messages if message["role"] == "user"]
        asked = self._named(said[-1])
        if asked is None:
            return "Sorry, which one?"
        asked.llm = record
        caller = CALLER_IN_PROMPT.search(str(messages[0]["content"]))
        self.turns[caller[1] if caller else "", len(said)] = asked
        return self.answer(asked.name)

    def spoke(self, record: RequestRecord, text: str) -> None:
        asked = self._named(text)
        if asked is not None:
            asked.tts, asked.tts_text = record, text

    def _named(self, text: str) -> Asked | None:
        return next((self.asked[word] for word in re.findall(r"\w+", text) if word in self.asked), None)


class TimedOpenAI(FakeOpenAI):
    """The model. Each answer's first token takes a time of its own."""

    def __init__(self, desk: Desk, latencies: Latencies) -> None:
        super().__init__(
            answer=lambda messages: desk.thought(self.requests[-1], messages), per_token_ms=latencies.per_token_ms
        )
        self._draw = latencies.drawn(latencies.first_token_ms, FIRST_TOKEN_SPREAD, "llm")

    def _chat_pieces(self, *args: Any, **options: Any) -> list[Piece]:
        self.first_token = self._draw()
        return super()._chat_pieces(*args, **options)


class TimedElevenLabs(FakeElevenLabs):
    """The voice and the transcription. Each request takes a time of its own; speech is short: `ms_per_char` long."""

    def __init__(self, desk: Desk, latencies: Latencies, *, ms_per_char: float = 25.0) -> None:
        stt = latencies.drawn(latencies.stt_ms, STT_SPREAD, "stt")
        tts = latencies.drawn(latencies.first_byte_ms, FIRST_BYTE_SPREAD, "tts")

        def speak(text: str, rate: int) -> bytes:
            self.first_byte = tts()
            desk.spoke(self.requests[-1], text)
            return tone(text, rate)[: 2 * round(len(text) * ms_per_char / 1000 * rate)]

        def hear(pcm: bytes, language: str) -> str:
            self.scribe.seconds = stt()
            return desk.heard(self.requests[-1])

        super().__init__(speak=speak, hear=hear)
        # Every text that is heard is a new one: what is told before the commit could not agree with it.
        self.scribe.lag = None


def sentence_sent_at(record: RequestRecord, answer: str, sentence: str) -> float:
    """When the model's token went out that shows that `sentence`, the beginning of `answer`, has ended.

    That is the first token after it ("3." may become "3.5"), or the last of all.
    """
    if not answer.startswith(sentence):
        raise ValueError(f"{sentence!r} is not the beginning of {answer!r}")
    written = 0
    # The first piece of the answer holds the role, and no text.
    for number, token in enumerate(tokens(answer), start=1):
        written += len(token)
        if written > len(sentence):
            return record.sent_at[number]
    return record.sent_at[-1]
