"""The audio model of the end of a turn: what it is shown, and what becomes of a wrong file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from ai_worker.turn import TurnModelUnusable, turn_judge
from ai_worker.turn.features import log_mel
from ai_worker.turn.smart_turn import MOST_WAITING, SmartTurn
from callbus.pcm import bytes_in
from support.recordings import load, load_wideband
from support.tiny_onnx import tiny_model


@pytest.mark.parametrize("seconds", [0.0, 0.5, 3.0, 8.0, 11.0])
def test_features_are_whispers(seconds: float) -> None:
    samples = np.random.default_rng(3).normal(0, 0.1, int(16_000 * seconds)).astype(np.float32)
    if seconds == 3.0:
        samples = np.frombuffer(load_wideband("goforward").pcm, "<i2").astype(np.float32) / np.float32(32768)
    last = samples[-128_000:]
    padded = np.concatenate([np.zeros(128_000 - len(last), np.float32), last])
    level = (padded - padded.mean()) / np.sqrt(padded.var() + 1e-7)
    expected = FeatureExtractor(chunk_length=8)(level, padding=0)[:, :800]
    assert log_mel(samples).shape == (80, 800)
    np.testing.assert_allclose(log_mel(samples), expected, atol=1e-4)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(tiny_model(["n", 80, 800]))
    return path


@pytest.mark.parametrize("rate", [8000, 16000])
async def test_a_model_is_shown_the_last_seconds_at_its_own_rate(model: Path, rate: int) -> None:
    judge = SmartTurn(model)
    recording = load("goforward") if rate == 8000 else load_wideband("goforward")
    try:
        speech = await judge.finished(recording.pcm, rate)
        with_the_past = await judge.finished(b"\x33\x22" * bytes_in(4000, rate) + bytes(bytes_in(8000, rate)), rate)
        silence = await judge.finished(bytes(bytes_in(8000, rate)), rate)
        nothing = await judge.finished(b"", rate)
    finally:
        await judge.aclose()
    assert speech is not None
    assert silence is not None
    # The tiny model's verdict is the loudness of what it was shown.
    assert 0 < silence < speech < 1
    assert with_the_past == silence == nothing


async def test_more_than_it_can_look_at_is_not_waited_for(model: Path) -> None:
    judge = SmartTurn(model)
    try:
        pcm = load("goforward").pcm
        verdicts = await asyncio.gather(*(judge.finished(pcm, 8000) for _ in range(MOST_WAITING + 3)))
        assert verdicts.count(None) == 3
        assert await judge.finished(pcm, 8000) == verdicts[0]
    finally:
        await judge.aclose()


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    assert turn_judge("text", None) is None
    with pytest.raises(TurnModelUnusable, match="needs SMART_TURN_MODEL"):
        turn_judge("smart-turn", None)
    with pytest.raises(TurnModelUnusable, match="no such file"):
        turn_judge("smart-turn", tmp_path / "absent.onnx")
    other = tmp_path / "other.onnx"
    other.write_bytes(b"no model at all")
    with pytest.raises(TurnModelUnusable, match="no ONNX model"):
        turn_judge("smart-turn", other)
    other.write_bytes(tiny_model(["n", 80, 3000]))
    with pytest.raises(TurnModelUnusable, match="expected Smart Turn v3"):
        turn_judge("smart-turn", other)
