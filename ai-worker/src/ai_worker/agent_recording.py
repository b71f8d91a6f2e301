"""Speech that somebody recorded beforehand: a WAV file beside the agent's own, heard even when no voice works."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import samplerate
from numpy.typing import NDArray
from pydantic import BeforeValidator, InstanceOf, ValidationInfo

LONGEST_S = 30.0
FOLDER = "folder"
"""The validation's context has the folder of the agent's file by this name; without it, paths are as they stand."""
_EXPECTED = f"expected a WAV file (PCM, 16 bit, mono or stereo, at most {LONGEST_S:.0f} s)"


@dataclass(frozen=True, slots=True, eq=False)
class RecordedSpeech:
    """What the file holds, mono, from -1 to 1, at `rate` Hz."""

    samples: NDArray[np.float32]
    rate: int

    def pcm(self, sample_rate: int) -> bytes:
        """s16le mono at `sample_rate` Hz."""
        samples = self.samples
        if sample_rate != self.rate:
            samples = samplerate.resample(samples, sample_rate / self.rate, "sinc_fastest")
        return bytes(np.clip(np.rint(samples * 32767), -32768, 32767).astype("<i2").tobytes())


def read_recording(path: Path) -> RecordedSpeech:
    """Raises ValueError, saying what was expected."""
    try:
        with wave.open(str(path)) as file:
            width, channels, rate, frames = (
                file.getsampwidth(),
                file.getnchannels(),
                file.getframerate(),
                file.getnframes(),
            )
            if width != 2 or channels not in (1, 2) or not 0 < frames <= LONGEST_S * rate:
                found = f"{8 * width} bit, {channels} channels, {frames / rate:.1f} s"
                raise ValueError(f"{path} has {found}: {_EXPECTED}")
            samples = np.frombuffer(file.readframes(frames), "<i2").astype(np.float32) / 32767
    except (OSError, EOFError, wave.Error) as error:
        raise ValueError(f"{path} can't be read ({error}): {_EXPECTED}") from error
    return RecordedSpeech(samples.reshape(-1, channels).mean(axis=1, dtype=np.float32), rate)


def _from_file(written: Any, info: ValidationInfo) -> Any:
    if not isinstance(written, str):
        return written
    return read_recording((info.context or {}).get(FOLDER, Path()) / written)


Recording = Annotated[InstanceOf[RecordedSpeech], BeforeValidator(_from_file)]
"""In an agent's file: the path of a WAV file, from that file's folder."""
