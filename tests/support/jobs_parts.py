"""Recording parts as the streamer leaves them, and the recording they became."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Stereo = NDArray[np.int16]


def stereo(*frames: tuple[int, int]) -> Stereo:
    return np.array(frames, dtype="<i2").reshape(-1, 2)


def steady(frames: int, left: int, right: int) -> Stereo:
    """So many frames of the same two samples."""
    return np.tile(np.array([[left, right]], dtype="<i2"), (frames, 1))


def write_part(
    folder: Path, started_at: float, audio: Stereo, *, session: str = "m1", rate: int = 8000, torn: bytes = b""
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{round(started_at * 1000)}-{session}.part"
    part.write_bytes(audio.astype("<i2").tobytes() + torn)
    sidecar = {"sample_rate": rate, "started_at": started_at, "session": session, "streamer": "s1"}
    part.with_suffix(".json").write_text(json.dumps(sidecar))
    return part


def read_wav(path: Path) -> tuple[int, Stereo]:
    """Sample rate (Hz), and frames × (left, right)."""
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        audio = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        assert len(audio) == file.getnframes()
        return file.getframerate(), audio
