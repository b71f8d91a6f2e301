"""Real recordings of speech for tests, as a phone line would deliver them (see tests/data/speech/README.md)."""

from __future__ import annotations

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import samplerate
from numpy.typing import NDArray

_FOLDER = Path(__file__).resolve().parent.parent / "data" / "speech"
_MULAW_BIAS = 33 / 8192  # G.711: 33 on the 14-bit scale
_MULAW_FULL = 8158 / 8192

TRANSCRIPTS = {
    "arctic_a0007": "and you always want to see it in the superlative degree",
    "cards_005": "eight of spades four of clubs seven of hearts",
    "goforward": "go forward ten meters",
    "librivox_0880": "he was not an ill disposed young man",
    "librivox_0890": "unless to be rather cold hearted and rather selfish is to be ill disposed",
    "librivox_0920": "had he married a more amiable woman he might have been made still more respectable than he was",
    "librivox_0930": "he might even have been made amiable himself",
}

# Where the speech begins and ends, in ms, read off the level of the waveforms.
_SPEECH_MS = {
    "arctic_a0007": (420, 3420),
    "cards_005": (200, 3150),
    "goforward": (500, 2260),
    "librivox_0880": (260, 2780),
    "librivox_0890": (280, 4980),
    "librivox_0920": (330, 5750),
    "librivox_0930": (280, 2860),
}


@dataclass(frozen=True, slots=True)
class Recording:
    """One utterance: `pcm` is s16le mono at `sample_rate` Hz, `transcript` what is said, lower case, no punctuation."""

    name: str
    pcm: bytes
    sample_rate: int
    transcript: str

    @property
    def speech_ms(self) -> tuple[int, int]:
        """Where the speech begins and ends, in ms."""
        return _SPEECH_MS[self.name]

    @property
    def duration_ms(self) -> float:
        return len(self.pcm) / 2 / self.sample_rate * 1000


def mulaw_roundtrip(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples in -1..1 as they come out of G.711 µ-law: 8 bits, logarithmic (segments of 16 steps)."""
    magnitude = np.minimum(np.abs(samples), _MULAW_FULL) + _MULAW_BIAS
    segment = np.clip(np.floor(np.log2(magnitude * 8192)) - 5, 0, 7)
    step = np.exp2(segment + 1) / 8192
    quantised = (np.floor(magnitude / step) + 0.5) * step
    # The lowest code is zero itself, not half a step.
    quantised = np.where(quantised - _MULAW_BIAS < 1 / 8192, _MULAW_BIAS, quantised)
    return (np.sign(samples) * (quantised - _MULAW_BIAS)).astype(np.float32)


def load_wideband(name: str) -> Recording:
    """The recording as it was made: 16 kHz."""
    with wave.open(str(_FOLDER / f"{name}.wav"), "rb") as file:
        return Recording(name, file.readframes(file.getnframes()), file.getframerate(), TRANSCRIPTS[name])


def load(name: str) -> Recording:
    """The recording as a phone delivers it: 8 kHz, through G.711 µ-law."""
    wide = load_wideband(name)
    samples = np.frombuffer(wide.pcm, "<i2").astype(np.float32) / 32768
    narrow = samplerate.resample(samples, 8000 / wide.sample_rate, "sinc_medium")
    return Recording(name, to_pcm(mulaw_roundtrip(narrow)), 8000, wide.transcript)


def load_all() -> list[Recording]:
    """Every recording as a phone delivers it, in a fixed order."""
    return [load(name) for name in TRANSCRIPTS]


def to_pcm(samples: NDArray[np.float32]) -> bytes:
    """Samples in -1..1 as s16le bytes; louder ones are clipped."""
    clipped = np.clip(np.round(samples * 32768), -32768, 32767)
    return clipped.astype("<i2").tobytes()
