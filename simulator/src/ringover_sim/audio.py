"""Audio primitives of the simulator: G.711, decoding, resampling, WAV.

G.711 is FFmpeg's (through PyAV), not the platform's own codec, so that a mistake in one shows against the other.
"""

from __future__ import annotations

import io
import wave
from functools import cache
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
import numpy.typing as npt
import samplerate

from ringover_sim.errors import AudioError

Floats = npt.NDArray[np.float32]
Samples = npt.NDArray[np.int16]
G711 = Literal["pcmu", "pcma"]

_FFMPEG_NAME: dict[G711, str] = {"pcmu": "pcm_mulaw", "pcma": "pcm_alaw"}
_FULL_SCALE = 32768.0


@cache
def _tables(codec: G711) -> tuple[npt.NDArray[np.uint8], Samples]:
    """Every 16-bit sample encoded, and every byte decoded, by FFmpeg: after that G.711 is a look-up."""
    name = _FFMPEG_NAME[codec]
    encoder = av.CodecContext.create(name, "w")
    encoder.sample_rate, encoder.layout, encoder.format = 8000, "mono", "s16"
    every_sample = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    frame = av.AudioFrame.from_ndarray(every_sample.reshape(1, -1), format="s16", layout="mono")
    frame.sample_rate = 8000
    encoded = b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
    decoder: Any = av.CodecContext.create(name, "r")
    decoder.sample_rate, decoder.layout = 8000, "mono"
    decoded = decoder.decode(av.Packet(bytes(range(256))))[0].to_ndarray()[0]
    return np.frombuffer(encoded, np.uint8), np.asarray(decoded, np.int16)


def g711_encode(pcm: bytes, codec: G711) -> bytes:
    """s16le mono to G.711, one byte a sample."""
    encode, _ = _tables(codec)
    return bytes(encode[np.frombuffer(pcm, "<i2").astype(np.int32) + 32768])


def g711_decode(payload: bytes, codec: G711) -> bytes:
    """G.711 to s16le mono."""
    _, decode = _tables(codec)
    return decode[np.frombuffer(payload, np.uint8)].astype("<i2").tobytes()


def to_floats(pcm: bytes) -> Floats:
    """s16le to float32 in -1..1."""
    return np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(_FULL_SCALE)


def to_pcm(samples: npt.NDArray[np.floating[Any]]) -> bytes:
    """Floats in -1..1 to s16le, clipped."""
    return bytes(np.clip(np.rint(samples * _FULL_SCALE), -32768, 32767).astype("<i2"))


def resample(samples: Floats, from_rate: float, to_rate: float) -> Floats:
    """The whole signal at another rate (Hz), best quality; for audio prepared before a call."""
    if from_rate == to_rate or not len(samples):
        return samples
    return np.asarray(samplerate.resample(samples, to_rate / from_rate, "sinc_best"), np.float32)


def decode_file(data: bytes, rate: int) -> bytes:
    """Any audio file FFmpeg reads (wav, mp3, ogg, …) to s16le mono at `rate` Hz.

    Raises AudioError when the bytes are no audio.
    """
    blocks: list[Floats] = []
    try:
        with av.open(io.BytesIO(data)) as container:
            if not container.streams.audio:
                raise AudioError("the file holds no audio stream; a wav, mp3 or ogg file is needed")
            native = int(container.streams.audio[0].rate)
            to_mono = av.AudioResampler(format="flt", layout="mono", rate=native)
            for frame in container.decode(audio=0):
                blocks += [block.to_ndarray()[0] for block in to_mono.resample(frame)]
            blocks += [block.to_ndarray()[0] for block in to_mono.resample(None)]
    except av.FFmpegError as error:
        raise AudioError(f"no readable audio ({error}); a wav, mp3 or ogg file is needed") from error
    if not blocks:
        raise AudioError("the file holds no samples")
    return to_pcm(resample(np.concatenate(blocks).astype(np.float32), native, rate))


def resample_pcm(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """s16le mono at `from_rate` Hz to s16le mono at `to_rate` Hz."""
    return pcm if from_rate == to_rate else to_pcm(resample(to_floats(pcm), from_rate, to_rate))


def interleave(left: bytes, right: bytes) -> bytes:
    """Two s16le mono signals as one stereo signal; the shorter one is padded with silence."""
    length = max(len(left), len(right)) // 2
    both = np.zeros((length, 2), "<i2")
    both[: len(left) // 2, 0] = np.frombuffer(left, "<i2")
    both[: len(right) // 2, 1] = np.frombuffer(right, "<i2")
    return both.tobytes()


def write_wav(path: Path, pcm: bytes, rate: int, channels: int) -> None:
    """A 16-bit WAV file at `rate` Hz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
