"""A recorded call as ai-jobs leaves it, whose sound tells where each sample is from."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np

ZERO = 5000.0
RATE = 8000


def sentence(text: str, start: float, end: float, heard: str | None = None) -> dict[str, Any]:
    return {
        "text": text,
        "heard_text": text if heard is None else heard,
        "interrupted": heard is not None,
        "started_at": ZERO + start,
        "ended_at": ZERO + end,
    }


def turn(number: int, words: tuple[str, float, float] | None, *bot: dict[str, Any], **other: Any) -> dict[str, Any]:
    caller = words and {"text": words[0], "started_at": ZERO + words[1], "ended_at": ZERO + words[2]}
    empty: dict[str, Any] = {"pressed": [], "actions": [], "tools": [], "notes": [], "timing": None}
    return {"turn": number, "caller": caller, "bot": list(bot), **empty, **other}


RECORD: dict[str, Any] = {
    "call_id": "c1",
    "from_number": "+33612345678",
    "to_number": "33184800000",
    "agent": "desk",
    "outcome": "transferred",
    "ended_by": "transfer",
    "recording": {"file": "call.wav", "sample_rate": RATE, "started_at": ZERO},
    "turns": [
        turn(0, None, sentence("Hello.", 0.2, 1.0)),
        turn(
            1,
            ("When do you open?", 2.0, 3.0),
            sentence("At nine every day.", 4.0, 6.0, "At nine"),
            timing={"stages": {}, "voice_to_voice_ms": 900.0},
        ),
        turn(
            2,
            ("A human.", 5.0, 5.5),
            sentence("Press one.", 6.5, 7.5),
            pressed=[{"at": ZERO + 9.0, "digits": "1"}],
            actions=[{"kind": "transfer", "argument": "3312", "done_at": ZERO + 9.5}],
        ),
    ],
}


def recorded_call(folder: Path) -> None:
    """The call `c1`, 10 s long: its left channel says which 10 ms of it each sample is of; the right one is silent."""
    write(folder, RECORD)
    left = (np.arange(10 * RATE) // 80).astype("<i2")
    with wave.open(str(folder / "c1" / "call.wav"), "wb") as wav:
        wav.setparams((2, 2, RATE, 0, "NONE", ""))
        wav.writeframes(np.stack([left, np.zeros_like(left)], axis=1).tobytes())


def write(folder: Path, record: dict[str, Any]) -> None:
    """A record of the call `c1`."""
    (folder / "c1").mkdir(exist_ok=True)
    (folder / "c1" / "call.json").write_text(json.dumps(record))
