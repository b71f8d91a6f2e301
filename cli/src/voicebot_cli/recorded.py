"""A recorded call as something that can be said again: the caller's side, cut where the caller spoke."""

from __future__ import annotations

import json
import re
import wave
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from callbus.keys import clean_call_id
from ringover_sim.audio import write_wav
from voicebot_cli.errors import RecordingError
from voicebot_cli.story import StoryTurn, from_record

BEFORE_S, AFTER_S = 0.35, 0.25
"""Kept around what was taken for speech: words begin before a detector is sure of them."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What the caller did in one turn. `began` and `ended` are s since the recording's first sample.

    `pcm` is s16le mono at the recording's rate, None for keys that sent no audio of their own.
    """

    turn: int
    began: float
    ended: float
    pcm: bytes | None
    digits: str
    into_speech: float | None
    """Seconds after the bot began the sentence that the caller spoke into; None when the bot was silent."""
    pause: float
    """Seconds from the bot's last word to the caller's first, when the bot was silent."""


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call's record and its caller's side."""

    call_id: str
    caller: str
    called: str
    agent: str
    ended_by: str
    sample_rate: int
    turns: list[StoryTurn]
    pieces: list[Piece]

    def save_pieces(self, folder: Path) -> dict[int, Path]:
        """A WAV file for each piece that has audio, by the number of the piece."""
        files = {}
        for number, piece in enumerate(self.pieces):
            if piece.pcm is not None:
                files[number] = folder / f"piece-{number}.wav"
                write_wav(files[number], piece.pcm, self.sample_rate, 1)
        return files


def load_call(calls_dir: Path, call_id: str) -> RecordedCall:
    """The record `call.json` and the left channel of `call.wav`. Raises RecordingError, BadCallId."""
    folder = calls_dir / clean_call_id(call_id)
    file = folder / "call.json"
    try:
        record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        turns = from_record(record)
        recording = record["recording"]
        caller_number, called_number = _digits(record["from_number"]), _digits(record["to_number"])
        agent, ended_by = str(record["agent"] or ""), str(record["ended_by"] or "")
    except OSError as error:
        raise RecordingError(
            f"{file}: {error.strerror or error}; the record is written when a call is over: say with --calls-dir "
            "where the calls' folders are"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordingError(f"{file}: no record of a call: {error!r}") from error
    if not recording or not recording.get("file"):
        raise RecordingError(f"{file}: the call was not recorded (`recording: true` in the agent's file)")
    rate, caller = _left(folder / str(recording["file"]))
    pieces = _pieces(turns, caller, rate, float(recording["started_at"]))
    if not pieces:
        raise RecordingError(f"{file}: the caller said nothing that could be said again")
    return RecordedCall(call_id, caller_number, called_number, agent, ended_by, rate, turns, pieces)


def _left(file: Path) -> tuple[int, bytes]:
    try:
        with wave.open(str(file)) as wav:
            if wav.getnchannels() != 2 or wav.getsampwidth() != 2 or wav.getframerate() not in (8000, 16000):
                raise RecordingError(f"{file}: expected 16-bit stereo at 8000 or 16000 Hz: left the caller")
            samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
            return wav.getframerate(), samples[:, 0].tobytes()
    except (OSError, EOFError, wave.Error) as error:
        raise RecordingError(f"{file}: can't be read: {error}") from error


def _pieces(turns: list[StoryTurn], caller: bytes, rate: int, zero: float) -> list[Piece]:
    """One for each turn of the caller's, and for keys that were pressed in silence, in their order."""
    spans = [(turn.started_at, turn.ended_at) for turn in turns if turn.started_at and turn.ended_at]
    bounds = [0.0]
    for (_, ended), (began, _) in pairwise(spans):
        bounds.append((ended + began) / 2 - zero)
    bounds.append(len(caller) / 2 / rate)
    pieces = []
    spoken = 0
    for number, turn in enumerate(turns):
        began, ended = turn.started_at or 0.0, turn.ended_at or 0.0
        if turn.started_at and turn.ended_at:
            first = max(bounds[spoken], began - zero - BEFORE_S)
            last = min(bounds[spoken + 1], ended - zero + AFTER_S)
            spoken += 1
            pcm = caller[2 * round(first * rate) : 2 * round(last * rate)]
            if pcm:
                pieces.append(_piece(number, turns, began, ended, pcm, "", zero))
        # Keys that were pressed while they spoke are tones within the piece.
        outside = [(at, keys) for at, keys in turn.pressed if not began <= at <= ended]
        if outside:
            digits = "".join(keys for _, keys in outside)
            pieces.append(_piece(number, turns, outside[0][0], outside[-1][0], None, digits, zero))
    return sorted(pieces, key=lambda piece: piece.began)


def _piece(
    number: int, turns: list[StoryTurn], began: float, ended: float, pcm: bytes | None, digits: str, zero: float
) -> Piece:
    played = [
        (said.started_at, said.ended_at)
        for turn in turns
        for said in turn.bot
        if said.started_at is not None and said.ended_at is not None
    ]
    into = next((start for start, end in played if start < began < end), None)
    before = max((end for _, end in played if end <= began), default=began)
    return Piece(
        number,
        began - zero,
        ended - zero,
        pcm,
        digits,
        None if into is None else began - into,
        began - before,
    )


def _digits(value: object) -> str:
    return re.sub(r"\D", "", str(value or ""))
