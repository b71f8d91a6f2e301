"""The seam of the audio models that tell whether a caller has finished."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol


class TurnModelUnusable(RuntimeError):
    """A model's file is missing, or is not the model that was expected."""


class TurnJudge(Protocol):
    """Judges the end of what a caller has said."""

    async def finished(self, pcm: bytes, sample_rate: int) -> float | None:
        """How probable it is (0..1) that the caller has finished with this audio: s16le mono at 8000 or 16000 Hz.

        None when there is no time to look at it.
        """
        ...

    async def aclose(self) -> None: ...


def turn_judge(kind: Literal["text", "smart-turn"], model: Path | None) -> TurnJudge | None:
    """The judge that the settings ask for; None: the words alone decide. Raises TurnModelUnusable."""
    if kind == "text":
        return None
    if model is None:
        raise TurnModelUnusable("TURN_DETECTOR=smart-turn needs SMART_TURN_MODEL, the path of the .onnx file")
    # Only who uses it pays for it.
    from ai_worker.turn.smart_turn import SmartTurn

    return SmartTurn(model)
