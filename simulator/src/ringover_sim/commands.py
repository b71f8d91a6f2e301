"""What the streamer may say to the media server, read strictly (RINGOVER.md 3.3).

Anything else is a WireViolation: a real media server ignores it, or crashes.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Literal

from ringover_sim.audio import decode_file, resample_pcm
from ringover_sim.errors import AudioError, SimulatorError

CommandName = Literal["streamAudio", "play", "break", "digits", "transfer"]
COMMANDS: tuple[CommandName, ...] = ("streamAudio", "play", "break", "digits", "transfer")
ACKNOWLEDGEMENTS = frozenset({"call_started", "call_ended", "error"})
"""Allowed towards a client that opened with `call_start`, and nobody else."""
_RAW_RATES = (8000, 16000)
_RATES = (8000, 16000, 24000)
_DIALLED = frozenset("0123456789*#ABCD")


class WireViolation(SimulatorError):
    """A message no media server understands; the text says what was wrong with it."""


@dataclass(frozen=True, slots=True)
class StreamAudio:
    """One playback: audio as it came."""

    kind: str
    sample_rate: int
    audio: bytes

    def decode(self, rate: int) -> bytes:
        """s16le mono at `rate` Hz. Raises WireViolation for audio that can't be played."""
        if self.kind == "raw":
            return resample_pcm(self.audio, self.sample_rate, rate)
        try:
            return decode_file(self.audio, rate)
        except AudioError as error:
            raise WireViolation(f"streamAudio: audioDataType {self.kind!r}, but {error}") from error


@dataclass(frozen=True, slots=True)
class Control:
    """One of the four commands with an `event`; `data` is the file, digits or number as sent (None for break)."""

    name: Literal["play", "break", "digits", "transfer"]
    data: str | int | None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """call_started, call_ended or error."""

    event: str
    message: str | None


Incoming = StreamAudio | Control | Acknowledgement


def parse(message: str | bytes, *, acknowledged: bool) -> Incoming:
    """One message from the streamer; `acknowledged` when the connection opened with `call_start`.

    Raises WireViolation.
    """
    if isinstance(message, bytes):
        raise WireViolation(f"a binary message of {len(message)} bytes; the media server reads text only")
    try:
        document = json.loads(message)
    except ValueError as error:
        raise WireViolation(f"no JSON: {message[:80]!r}") from error
    if not isinstance(document, dict):
        raise WireViolation(f"a JSON object is expected, not {message[:80]!r}")
    if "type" in document:
        return _stream_audio(document)
    event = document.get("event")
    if event in ACKNOWLEDGEMENTS:
        if not acknowledged:
            raise WireViolation(f"{event!r} sent to a client that did not open with call_start")
        return Acknowledgement(event, document.get("message"))
    return _control(event, document)


def _stream_audio(document: dict[str, Any]) -> StreamAudio:
    data = document.get("data")
    if document["type"] != "streamAudio" or not isinstance(data, dict):
        raise WireViolation(f'"type" must be "streamAudio" with an object "data", not {str(document)[:80]}')
    kind, rate, audio = data.get("audioDataType"), data.get("sampleRate"), data.get("audioData")
    if kind not in ("raw", "mp3", "wav", "ogg"):
        raise WireViolation(f"streamAudio: audioDataType is raw, mp3, wav or ogg, not {kind!r} (missing: a crash)")
    if rate not in _RATES or isinstance(rate, bool):
        raise WireViolation(f"streamAudio: sampleRate is 8000, 16000 or 24000 as a number, not {rate!r}")
    if kind == "raw" and rate not in _RAW_RATES:
        raise WireViolation("streamAudio: raw audio at 24000 Hz is played at the wrong pitch; send 8000 or 16000")
    try:
        decoded = base64.b64decode(audio, validate=True) if isinstance(audio, str) else b""
    except binascii.Error as error:
        raise WireViolation(f"streamAudio: audioData is not plain padded base64 ({error})") from error
    if not decoded:
        raise WireViolation("streamAudio: audioData is missing or empty")
    if kind == "raw" and len(decoded) % 2:
        raise WireViolation(f"streamAudio: {len(decoded)} bytes are no 16-bit samples")
    return StreamAudio(kind, rate, decoded)


def _control(event: object, document: dict[str, Any]) -> Control:
    match event:
        case "play":
            file = document.get("file")
            if not isinstance(file, str) or not file.startswith(("http://", "https://")):
                raise WireViolation(f"play: file is an http(s) URL, not {file!r}")
            return Control("play", file)
        case "break":
            return Control("break", None)
        case "digits" | "transfer":
            data = document.get("data")
            wanted = _DIALLED if event == "digits" else _DIALLED | {"+"}
            if isinstance(data, bool) or not isinstance(data, str | int) or data == "" or not set(str(data)) <= wanted:
                raise WireViolation(f"{event}: data is a number, or a string of digits, not {data!r}")
            return Control(event, data)
        case _:
            raise WireViolation(f"unknown message {str(document)[:80]}; known are {', '.join(COMMANDS)}")
