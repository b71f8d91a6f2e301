"""Joins the parts of a recording on one timeline into `call.wav`: stereo, left the caller, right the bot."""

from __future__ import annotations

import threading
import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

from ai_worker.jobs.files import replacing
from ai_worker.jobs.outline import Outline, Waveform
from ai_worker.jobs.parts import BLOCK_FRAMES, CHANNELS, FRAME_BYTES, Part, audio_at, find_parts, joined_before

FILE = "call.wav"
LONGEST_SPAN_S = 6 * 3600
"""A part that begins further than this from the first one is left alone: hours of silence help nobody."""


class Recording(BaseModel):
    """What lies in `file`, if anything. `started_at` is its first sample's time (epoch s).

    `parts` are the files it was joined from; `complete` says that they were closed, and so need not be kept. `waveform`
    is null in records from before it was drawn here.
    """

    model_config = ConfigDict(frozen=True)

    file: str | None
    channels: tuple[str, str] = ("caller", "bot")
    sample_rate: int
    started_at: float
    duration_s: float
    parts: tuple[str, ...] = ()
    complete: bool = True
    notes: tuple[str, ...] = ()
    waveform: Waveform | None = None


def join(
    folder: Path, *, before: Recording | None, sample_rate: int, complete: bool, stop: threading.Event
) -> Recording | None:
    """Bring `call.wav` up to date; None when there is nothing to join and nothing joined. Removes nothing.

    `before` is what the record says of an earlier run, whose parts are gone: its audio stays, new parts are added.
    `sample_rate` (Hz) is for parts without a sidecar. Raises OSError; InterruptedError once `stop` is set.
    """
    wav = folder / FILE
    notes = list(before.notes) if before else []
    parts = find_parts(folder, sample_rate=sample_rate, notes=notes)
    if not parts:
        return before or _alone(wav)
    names = [*(before.parts if before else ()), *(part.name for part in parts)]
    parts = sorted((part for part in parts if part.frames), key=lambda part: part.started_at)
    if before and before.file:
        try:
            parts.insert(0, joined_before(wav, before.started_at))
        except (FileNotFoundError, ValueError) as error:
            notes.append(f"the earlier recording is lost: {error}")
    far = {part.name for part in parts if abs(part.started_at - parts[0].started_at) > LONGEST_SPAN_S}
    notes += [f"{name}: not joined: it begins more than {LONGEST_SPAN_S} s away from the others" for name in far]
    names = [name for name in names if name not in far]
    parts = sorted((part for part in parts if part.name not in far), key=lambda part: part.started_at)
    made = Recording(
        file=None, sample_rate=sample_rate, started_at=0, duration_s=0, parts=_once(names), complete=complete
    )
    if parts:
        rate = parts[0].sample_rate
        placed = list(_timeline(parts, rate, notes))
        outline = Outline(sum(placed[-1][1:]), rate)
        with replacing(wav) as file:
            _write(file, placed, rate, outline, stop)
        made = made.model_copy(
            update={
                "file": FILE,
                "sample_rate": rate,
                "started_at": parts[0].started_at,
                "duration_s": round(sum(placed[-1][1:]) / rate, 3),
                "waveform": outline.waveform(),
            }
        )
    return made.model_copy(update={"notes": _once(notes)})


def remove_parts(folder: Path, recording: Recording | None) -> None:
    """Remove the parts that `call.wav` holds. Only once the record that names them is safely on disk."""
    if recording is None or not recording.complete:
        return
    for name in recording.parts:
        part = folder / name
        part.with_suffix(".json").unlink(missing_ok=True)
        part.unlink(missing_ok=True)


def _timeline(parts: list[Part], rate: int, notes: list[str]) -> Iterator[tuple[Part, int, int]]:
    """Each part with its first frame and its length (frames at `rate`). Where two overlap, the later one is right."""
    starts = [round((part.started_at - parts[0].started_at) * rate) for part in parts]
    for (part, start), (later, later_start) in pairwise(zip(parts, starts, strict=True)):
        frames = _length(part, rate)
        if (overlap := start + frames - later_start) > rate // 50 and part.name != FILE:
            notes.append(f"{part.name}: its last {overlap / rate:.2f} s overlap {later.name}, which is kept")
        yield part, start, min(frames, later_start - start)
    yield parts[-1], starts[-1], _length(parts[-1], rate)


def _length(part: Part, rate: int) -> int:
    return round(part.frames * rate / part.sample_rate)


def _write(
    file: BinaryIO, placed: list[tuple[Part, int, int]], rate: int, outline: Outline, stop: threading.Event
) -> None:
    with wave.open(file, "wb") as wav:
        wav.setparams((CHANNELS, FRAME_BYTES // CHANNELS, rate, sum(placed[-1][1:]), "NONE", ""))
        position = 0
        for part, start, frames in placed:
            for block in _exactly(frames, audio_at(part, rate), silence_first=start - position):
                if stop.is_set():
                    raise InterruptedError("the job was given up")
                wav.writeframesraw(block)
                outline.add(block)
            position = start + frames


def _exactly(frames: int, blocks: Iterator[bytes], *, silence_first: int) -> Iterator[bytes]:
    """So many frames of silence, then so many of the blocks, with silence for what they lack."""
    yield from _silence(silence_first)
    missing = frames * FRAME_BYTES
    for block in blocks:
        if not missing:
            return
        yield block[:missing]
        missing -= min(missing, len(block))
    yield from _silence(missing // FRAME_BYTES)


def _silence(frames: int) -> Iterator[bytes]:
    for start in range(0, frames, BLOCK_FRAMES):
        yield bytes(min(BLOCK_FRAMES, frames - start) * FRAME_BYTES)


def _alone(wav: Path) -> Recording | None:
    """What can be said of a recording whose record is gone; it began when the file was written, less its length."""
    try:
        part = joined_before(wav, 0)
    except (FileNotFoundError, ValueError):
        return None
    duration = part.frames / part.sample_rate
    return Recording(
        file=FILE,
        sample_rate=part.sample_rate,
        started_at=round(wav.stat().st_mtime - duration, 3),
        duration_s=round(duration, 3),
        notes=("its record was lost: started_at is an estimate",),
    )


def _once(lines: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))
