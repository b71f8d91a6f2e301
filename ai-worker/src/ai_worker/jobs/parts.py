"""The parts of a recording, as the streamer leaves them: raw audio and a sidecar for each media session.

`<session start, epoch ms>-<session>.part` is s16le stereo interleaved (left caller, right bot); the `.json` beside it
has sample_rate (Hz), started_at (epoch s), session and streamer.
"""

from __future__ import annotations

import re
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import samplerate
from pydantic import BaseModel, Field, ValidationError

CHANNELS = 2
FRAME_BYTES = 4
"""One sample of both channels."""
BLOCK_FRAMES = 16_000

_NAME = re.compile(r"(\d{1,15})-.+\.part")


class _Sidecar(BaseModel):
    sample_rate: int = Field(ge=4000, le=48_000)
    started_at: float = Field(ge=0, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of stereo audio: `frames` samples per channel at `sample_rate` Hz from `started_at` (epoch s) on.

    `audio` reads so many frames from the start, in blocks of whole frames.
    """

    name: str
    started_at: float
    sample_rate: int
    frames: int
    audio: Callable[[], Iterator[bytes]]


def find_parts(folder: Path, *, sample_rate: int, notes: list[str]) -> list[Part]:
    """The folder's parts. What is odd about them goes to `notes`; `sample_rate` (Hz) is for one without a sidecar."""
    found = (_part(path, sample_rate, notes) for path in sorted(folder.glob("*.part")))
    return [part for part in found if part]


def _part(path: Path, sample_rate: int, notes: list[str]) -> Part | None:
    name = _NAME.fullmatch(path.name)
    if name is None:
        notes.append(f"{path.name}: not joined: expected a name like 1732266000123-session.part")
        return None
    started_at = int(name[1]) / 1000
    try:
        sidecar = _Sidecar.model_validate_json(path.with_suffix(".json").read_bytes())
        sample_rate, started_at = sidecar.sample_rate, sidecar.started_at
    except (FileNotFoundError, ValidationError) as error:
        problem = "missing" if isinstance(error, FileNotFoundError) else "can't be read"
        notes.append(f"{path.name}: its sidecar is {problem}: taken as {sample_rate} Hz, starting as its name says")
    frames, torn = divmod(path.stat().st_size, FRAME_BYTES)
    if torn:
        notes.append(f"{path.name}: ends in the middle of a sample: {torn} bytes left out")
    return Part(path.name, started_at, sample_rate, frames, lambda: _raw(path))


def joined_before(path: Path, started_at: float) -> Part:
    """An earlier recording as a part. Raises OSError, or ValueError when it is no stereo WAV."""
    try:
        with wave.open(str(path), "rb") as file:
            if file.getnchannels() != CHANNELS or file.getsampwidth() * CHANNELS != FRAME_BYTES:
                raise ValueError(f"{path.name}: expected 16-bit stereo")
            return Part(path.name, started_at, file.getframerate(), file.getnframes(), lambda: _wav(path))
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path.name}: not a WAV file: {error}") from error


def _raw(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK_FRAMES * FRAME_BYTES):
            yield block[: len(block) // FRAME_BYTES * FRAME_BYTES]


def _wav(path: Path) -> Iterator[bytes]:
    with wave.open(str(path), "rb") as file:
        while block := file.readframes(BLOCK_FRAMES):
            yield block


def audio_at(part: Part, sample_rate: int) -> Iterator[bytes]:
    """The part's audio in blocks, at another rate (Hz) if need be; then some silence may follow it."""
    if part.sample_rate == sample_rate:
        yield from part.audio()
        return
    resampler = samplerate.Resampler("sinc_medium", channels=CHANNELS)
    ratio = sample_rate / part.sample_rate
    for block in part.audio():
        yield _resampled(resampler, block, ratio)
    # The resampler holds back a few ms, and its own flush gives out no more than was put in: silence pushes them out.
    yield _resampled(resampler, bytes(part.sample_rate // 10 * FRAME_BYTES), ratio)


def _resampled(resampler: samplerate.Resampler, block: bytes, ratio: float) -> bytes:
    samples = np.frombuffer(block, "<i2").reshape(-1, CHANNELS).astype(np.float32) / 32768
    changed = resampler.process(samples, ratio)
    pcm: bytes = np.clip(np.round(changed * 32768), -32768, 32767).astype("<i2").tobytes()
    return pcm
