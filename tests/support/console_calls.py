"""Past calls as ai-jobs leaves them: a record, a recording."""

from __future__ import annotations

import io
import math
import wave
from array import array
from typing import Any

NOON = 1_769_860_800.0
"""2026-01-31, 12:00 UTC."""


def a_record(call_id: str, started_at: float = NOON, **values: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "call_id": call_id,
        "from_number": "33612345678",
        "to_number": "33184800000",
        "agent": "library",
        "times": {"ringing_at": started_at, "answered_at": started_at + 2},
        "duration_s": 61.5,
        "outcome": "completed",
        "ended_by": "caller",
        "turns": [{"turn": 0, "caller": None}, {"turn": 1, "caller": {"text": "Hello – you?"}}],
        **values,
    }


def a_recording(seconds: float = 1.0, rate: int = 8000) -> bytes:
    """A WAV file: the caller half as loud as can be, in the first half; the bot as loud as can be, in the second."""
    frames = int(seconds * rate)
    samples = array("h")
    for frame in range(frames):
        tone = math.sin(2 * math.pi * 500 * frame / rate)
        samples.extend((int(16384 * tone), 0) if frame < frames // 2 else (0, int(32767 * tone)))
    whole = io.BytesIO()
    with wave.open(whole, "wb") as file:
        file.setparams((2, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.tobytes())
    return whole.getvalue()
