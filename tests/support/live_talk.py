"""A caller who is heard live: audio that is words, a fake server that knows them, and another provider behind it."""

from __future__ import annotations

import asyncio
import struct
from collections import Counter

from ai_worker.conversation.actions import Transcribe
from ai_worker.conversation.events import Partial
from ai_worker.hearing import Hearing
from ai_worker.live_hearing import LiveHearing
from ai_worker.providers.attempts import Counts, Link
from ai_worker.providers.base import SpeechToText, Transcript
from ai_worker.providers.breaker import CircuitBreaker
from ai_worker.providers.chain import SttChain
from ai_worker.providers.elevenlabs_stt import ElevenLabsTranscription
from support.fake_providers import FakeElevenLabs
from support.waiting import until

RATE = 8000
WORDS = "- could you book a table for two people on Friday evening please".split()
WORD_MS, CHUNK_MS = 200, 20
DEADLINE_S = 0.5


def word(number: int, ms: int = WORD_MS) -> bytes:
    """Audio that is this word, for those who know: every sample is its number."""
    return struct.pack("<h", number) * (RATE * ms // 1000)


def understood(pcm: bytes, language: str) -> str:
    """The words whose audio is there whole, as often as it is there, in the order of their ends."""
    samples = Counter[int]()
    found = []
    for number in struct.unpack(f"<{len(pcm) // 2}h", pcm):
        samples[number] += 1
        if number and samples[number] % (RATE * WORD_MS // 1000) == 0:
            found.append(WORDS[number])
    return " ".join(found)


class Other:
    """The next provider in the list."""

    name = "other-stt"

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
        self.asked.append(pcm)
        return Transcript(understood(pcm, language))

    async def warm(self) -> None: ...

    async def aclose(self) -> None: ...


class Talk:
    """A caller who is heard, faster than they speak; `told` is what the conversation was told."""

    def __init__(self, server: FakeElevenLabs, *, others: bool = True, wanted: bool = True) -> None:
        server.scribe.hear = understood
        server.scribe.lag = 0.02
        self.server = server
        self.other = Other()
        self.counts = Counts()
        self.breaker = CircuitBreaker()
        self.provider = ElevenLabsTranscription(api_key=server.api_key, base_url=server.base_url, timeout=1.0)
        links: list[Link[SpeechToText]] = [Link("elevenlabs", self.provider, self.breaker), Link("other", self.other)]
        self.chain = SttChain(links if others else links[:1], deadline=DEADLINE_S, counts=self.counts)
        self.hearing = Hearing(RATE)
        self.told: list[Partial] = []
        self.now = 100.0
        self.live = LiveHearing(
            self.chain, self.hearing, "en-US", self.told.append, wanted=wanted, clock=lambda: self.now
        )

    @property
    def ms(self) -> int:
        return int(self.hearing.position_ms)

    @property
    def sent(self) -> bytes:
        """All audio that was committed, without what was put behind a short one."""
        return b"".join(request.body for request in self.server.requests)

    def hears(self, pcm: bytes) -> None:
        size = 2 * RATE * CHUNK_MS // 1000
        for start in range(0, len(pcm), size):
            self.hearing.receive(pcm[start : start + size], 0.0)
            self.live.advance(self.ms)

    def says(self, *numbers: int) -> None:
        self.hears(b"".join(word(number) for number in numbers))

    def pauses(self, ms: int = 200) -> None:
        self.hears(bytes(2 * RATE * ms // 1000))

    def asks(self, utterance: int, revision: int, start_ms: int, *, part: bool = False) -> asyncio.Task[str]:
        words = self.live.words(Transcribe(utterance, revision, start_ms, self.ms, part))
        return asyncio.ensure_future(words())

    async def telling(self, *expected: Partial) -> None:
        await until(lambda: set(expected) <= set(self.told), timeout=5, what=f"{expected} in {self.told}")

    async def aclose(self) -> None:
        await self.live.aclose()
        await self.chain.aclose()
