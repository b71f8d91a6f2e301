"""The waveform of a recording, from its record, or drawn anew: the loudest sample of each stretch and channel."""

from __future__ import annotations

import sys
import wave
from array import array
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from callbus.errors import BucketUnavailable

POINT_MS = 100
_LONGEST_S = 4 * 3600


def recorded_waveform(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the record says of its recording's waveform, as `waveform` tells it; None where it says nothing.

    See ai_worker.jobs.outline.Waveform: base64, a byte a point.
    """
    match record.get("recording"):
        case {"waveform": {"ms_per_point": int(ms), "caller": str(caller), "bot": str(bot)}} if ms > 0:
            try:
                return {"ms_per_point": ms, "caller": _points(caller), "bot": _points(bot)}
            except ValueError:
                return None
    return None


def _points(written: str) -> list[float]:
    return [round(value / 255, 3) for value in b64decode(written, validate=True)]


def waveform(wav: Path | BinaryIO) -> dict[str, Any] | None:
    """Peaks from 0 to 1 of a stereo s16le WAV (left the caller, right the bot); None when it is none, or not there.

    Takes about 0.6 s for ten minutes: call it in a thread. Raises BucketUnavailable, for a file that reads a bucket.
    """
    try:
        with wave.open(str(wav) if isinstance(wav, Path) else wav, "rb") as file:
            if (file.getnchannels(), file.getsampwidth()) != (2, 2) or file.getframerate() < 1000 // POINT_MS:
                return None
            frames = file.getframerate() * POINT_MS // 1000
            caller: list[float] = []
            bot: list[float] = []
            for _ in range(min(file.getnframes() // frames + 1, _LONGEST_S * 1000 // POINT_MS)):
                samples = array("h", file.readframes(frames))
                if not samples:
                    break
                if sys.byteorder == "big":
                    samples.byteswap()
                caller.append(_peak(samples[0::2]))
                bot.append(_peak(samples[1::2]))
    except BucketUnavailable:
        raise
    except (OSError, EOFError, wave.Error, ValueError):
        return None
    return {"ms_per_point": POINT_MS, "caller": caller, "bot": bot}


def _peak(samples: array[int]) -> float:
    return round(min(1.0, max(max(samples, default=0), -min(samples, default=0)) / 32767), 3)
