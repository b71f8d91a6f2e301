"""Providers that fail at random, by a seed: refused, dropped, cut, stalled, dripping, with an error in mid-stream."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Literal

from support.fake_providers import (
    CutAfter,
    Drop,
    EndAfter,
    ErrorAfter,
    FakeElevenLabs,
    FakeOpenAI,
    Fault,
    HoldAfter,
    Refuse,
    RequestRecord,
    SlowDrip,
)

Seam = Literal["stt", "llm", "tts"]
_SEAMS: dict[str, Seam] = {
    "/chat/completions": "llm",
    "/audio/transcriptions": "stt",
    "/speech-to-text/realtime": "stt",
    "/audio/speech": "tts",
    "/text-to-speech/": "tts",
}
# A pause of the dripping provider, s; the local deadline is for the first piece only.
DRIP_S = {"stt": 0.5, "llm": 0.6, "tts": 0.3}
LATEST_PIECE = {"stt": 2, "llm": 14, "tts": 6}


class Faults:
    """Which request fails, and how. `rates` are the shares of requests that do; `denials` lets keys be refused, too."""

    def __init__(self, seed: int, server: str, rates: dict[Seam, float]) -> None:
        self.rates = rates
        self.denials = False
        self.given: Counter[str] = Counter()
        """Faults so far, as `llm CutAfter`."""
        self._seed = f"{seed} {server}"
        self._asked: Counter[Seam] = Counter()

    def next(self, record: RequestRecord) -> Fault | None:
        """The fault for this request."""
        seam = next((seam for path, seam in _SEAMS.items() if path in record.path), None)
        if seam is None:
            return None
        self._asked[seam] += 1
        generator = random.Random(f"{self._seed} {seam} {self._asked[seam]}")
        if generator.random() >= self.rates.get(seam, 0.0):
            return None
        fault = self._one(seam, generator)
        self.given[f"{seam} {type(fault).__name__}"] += 1
        return fault

    def _one(self, seam: Seam, generator: random.Random) -> Fault:
        piece = generator.randint(0, LATEST_PIECE[seam])
        kinds: list[Callable[[], Fault]] = [
            lambda: Refuse(429, "Too many requests.", retry_after="1"),
            lambda: Refuse(500, "The server had an error."),
            Drop,
            lambda: CutAfter(piece),
            lambda: EndAfter(piece),
            lambda: HoldAfter(piece),
            lambda: SlowDrip(DRIP_S[seam]),
            lambda: ErrorAfter(piece),
        ]
        if seam == "tts":
            kinds.pop()  # audio has no place for an error
        if self.denials:
            kinds.append(lambda: Refuse(401, "The key is not accepted."))
        return generator.choice(kinds)()


class FailingOpenAI(FakeOpenAI):
    """FakeOpenAI, with faults."""

    faults: Faults

    def recorded(self, record: RequestRecord) -> Fault | None:
        return super().recorded(record) or self.faults.next(record)


class FailingElevenLabs(FakeElevenLabs):
    """FakeElevenLabs, with faults."""

    faults: Faults

    def recorded(self, record: RequestRecord) -> Fault | None:
        return super().recorded(record) or self.faults.next(record)
