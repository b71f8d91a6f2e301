"""Text-to-speech on this machine: hibari, voice "heart"."""

from __future__ import annotations

import functools
import threading
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import numpy as np
import samplerate
from numpy.typing import NDArray

from ai_worker.providers.base import ProviderRefused
from ai_worker.providers.local_pool import LocalPool

_NAME = "local-hibari"
_VOICE = "heart"
_MODEL_RATE = 24000
_SEED = 1
# Hibari puts 0.2-0.3 s of silence before a sentence and 0.3-0.5 s after it: latency, and dead air.
_QUIET = 10 ** (-50 / 20)
_KEEP_BEFORE_MS = 60
_KEEP_AFTER_MS = 150

_loading = threading.Lock()


class LocalHibari:
    """English, one voice. One model per process, shared by every instance.

    `workers` sentences are synthesised at once; `max_waiting` more requests may wait. The same text always gives the
    same audio.
    """

    name = _NAME

    def __init__(self, *, workers: int = 1, max_waiting: int = 32) -> None:
        self._pool = LocalPool(self.name, workers=workers, max_waiting=max_waiting)

    async def stream(self, text: str, *, sample_rate: int, voice: str, language: str) -> AsyncGenerator[bytes, None]:
        """See TextToSpeech. A piece is a sentence; nothing comes for a text without letters and digits.

        Raises ProviderRefused for a voice or a language it doesn't have, ProviderError when too many wait.
        """
        if voice not in ("", _VOICE):
            raise ProviderRefused(
                self.name,
                f"the voice is {voice!r}, only {_VOICE!r} is installed: set the agent's voice to it or to ''",
            )
        if language != "en":
            raise ProviderRefused(
                self.name, f"the language is {language!r}, and the voice only speaks 'en': use the ElevenLabs provider"
            )
        # Of punctuation alone, hibari makes a hiss.
        if not any(map(str.isalnum, text)):
            return
        pieces = _speak(text, sample_rate)
        # Once begun, a request is never refused: half a sentence is worse than none.
        with self._pool.admit():
            pcm = await self._pool.run(next, pieces, None)
        # One job per sentence: calls take turns, and a closed iterator leaves at most one sentence of work behind.
        while pcm is not None:
            yield pcm
            pcm = await self._pool.run(next, pieces, None)

    async def warm(self) -> None:
        """Loads the model and speaks a word. Raises ProviderError."""
        async for _ in self.stream("Ready.", sample_rate=8000, voice="", language="en"):
            pass

    async def aclose(self) -> None:
        await self._pool.aclose()


def _speak(text: str, sample_rate: int) -> Iterator[bytes]:
    with _loading:
        model = _load()
    ratio = sample_rate / _MODEL_RATE
    for sentence in model.stream(text, seed=_SEED):
        if len(spoken := _trim(sentence)):
            # Each by itself: a sentence is whole, begins and ends in silence, and so needs no state between them.
            yield _to_pcm(samplerate.resample(spoken, ratio, "sinc_fastest"))


def _trim(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples (at _MODEL_RATE) with no more silence at both ends than is kept; none if all is silence."""
    loud = np.flatnonzero(np.abs(samples) > _QUIET)
    if not len(loud):
        return samples[:0]
    before = _KEEP_BEFORE_MS * _MODEL_RATE // 1000
    after = _KEEP_AFTER_MS * _MODEL_RATE // 1000
    return samples[max(0, loud[0] - before) : loud[-1] + 1 + after]


def _to_pcm(samples: NDArray[np.float32]) -> bytes:
    # Clipped, since a resampled peak can be above 1 and would wrap around.
    return np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes()


@functools.cache
def _load() -> Any:
    try:
        from hibari import Hibari
    except ImportError as error:
        raise ProviderRefused(_NAME, f"{error.name} is not installed: install ai-worker[local]") from error
    return Hibari(voice=_VOICE, threads=1)
