"""Smart Turn v3 (github.com/pipecat-ai/smart-turn, BSD-2): an audio model of the end of a turn, off the event loop.

The file is none of ours: `(n, 80, 800)` Whisper features of the last 8 s in, probabilities `(n, 1)` out.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import samplerate

from ai_worker.turn.features import BANDS, RATE, SECONDS, log_mel
from ai_worker.turn.judge import TurnModelUnusable
from callbus.pcm import bytes_in

MOST_WAITING = 4
"""A verdict that comes later than the words is worth nothing: more than these are not looked at."""


class SmartTurn:
    """A TurnJudge. Raises TurnModelUnusable."""

    def __init__(self, model: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        if not model.is_file():
            raise TurnModelUnusable(f"SMART_TURN_MODEL={model}: there is no such file")
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(model), sess_options=options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no base of their own
            raise TurnModelUnusable(f"SMART_TURN_MODEL={model} is no ONNX model: {error}") from error
        inputs = self._session.get_inputs()
        if [each.shape[1:] for each in inputs] != [[BANDS, SECONDS * 100]]:
            shapes = ", ".join(f"{each.name} {each.shape}" for each in inputs)
            raise TurnModelUnusable(f"SMART_TURN_MODEL={model} takes {shapes}; expected Smart Turn v3: [n, 80, 800]")
        self._input = inputs[0].name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="turn")
        self._waiting = 0

    async def finished(self, pcm: bytes, sample_rate: int) -> float | None:
        """See TurnJudge."""
        if self._waiting >= MOST_WAITING:
            return None
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._judge, pcm, sample_rate)
        finally:
            self._waiting -= 1

    async def aclose(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    def _judge(self, pcm: bytes, sample_rate: int) -> float:
        last = pcm[-bytes_in(SECONDS * 1000, sample_rate) :]
        samples = np.frombuffer(last, "<i2").astype(np.float32) / np.float32(32768)
        if sample_rate != RATE and len(samples):
            samples = np.asarray(samplerate.resample(samples, RATE / sample_rate, "sinc_fastest"), np.float32)
        [verdicts] = self._session.run(None, {self._input: log_mel(samples)[None]})
        return float(verdicts[0, 0])
