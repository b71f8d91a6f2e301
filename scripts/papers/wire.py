"""The messages of the media WebSocket; the examples of what the streamer sends are made by its own functions."""

from __future__ import annotations

import json
from typing import Any

from callbus.pcm import CALL_RATES, frame_bytes
from streamer import commands, gate

ABOUT = (
    "One connection a call. The call's id may stand in the path, in the query "
    f"({', '.join(gate.CALL_ID_NAMES)}), in the metadata, or nowhere. The token: `?token=…`, "
    f"/ws/{gate.TOKEN_PART}/<token>, or an Authorization header. No sub-protocol. "
    "The end of the call is the close of the connection (1000)."
)
BINDING = {
    "method": "GET",
    "query": {
        "type": "object",
        "properties": {
            "token": {"type": "string", "description": "STREAMER_TOKEN, or a pass for this call made with it"},
            "sample_rate": {"enum": list(CALL_RATES), "description": "Hz; stands before STREAMER_SAMPLE_RATE"},
            "channels": {"enum": [1, 2], "description": "2: the left one is the caller"},
            **{name: {"type": "string", "description": "the call's id"} for name in gate.CALL_ID_NAMES},
        },
    },
    "bindingVersion": "0.1.0",
}
_FRAMES = ", ".join(f"{frame_bytes(rate)} bytes at {rate} Hz" for rate in CALL_RATES)
_NUMBER = {"type": ["integer", "string"], "description": "a string where a number would lose something (0…, *, #)"}
_TEXT = {"type": "string"}


def incoming() -> dict[str, Any]:
    """AsyncAPI messages that the streamer reads."""
    audio = {"type": "string", "format": "binary"}
    pcm = f"The call's audio, binary: bare s16le samples, 20 ms each as a rule ({_FRAMES}; twice that for stereo)"
    return {
        "pcmAudio": _message(pcm, audio, content="application/octet-stream"),
        "rtpAudio": _message(
            "The call's audio as RTP packets (PCMU, PCMA, L16), binary; recognised by itself",
            audio,
            content="application/octet-stream",
        ),
        "callStart": _event(
            "Opens the JSON dialect; answered by call_started", "call_start", {"call_id": _TEXT}, ["call_id"]
        ),
        "audioData": _event(
            "The call's audio as base64",
            "audio_data",
            {"call_id": _TEXT, "data": {**_TEXT, "contentEncoding": "base64"}},
            ["data"],
        ),
        "callEnd": _event("The call is over; answered by call_ended", "call_end", {"call_id": _TEXT}, []),
        "keyPressed": _event(
            "Keys that the caller pressed (also `digits`, `key`, `value`, or within `data`)",
            "dtmf",
            {"digit": _TEXT},
            ["digit"],
        ),
        "metadata": _message(
            "Whatever the operator has configured; the call's id and its two numbers are looked for in it",
            {"type": "object"},
            examples=[{"callId": "abc-1", "from": "33612345678", "to": "33187654321"}],
        ),
    }


def outgoing() -> dict[str, Any]:
    """AsyncAPI messages that the streamer sends."""
    data = {"audioDataType": {"const": "raw"}, "sampleRate": {"enum": list(CALL_RATES)}}
    data["audioData"] = {"type": "string", "contentEncoding": "base64"}
    stream = {
        "type": "object",
        "required": ["type", "data"],
        "properties": {
            "type": {"const": "streamAudio"},
            "data": {"type": "object", "required": list(data), "properties": data},
        },
    }
    return {
        "streamAudio": _message(
            "One playback of s16le mono", stream, examples=[json.loads(commands.stream_audio(b"\0\0", CALL_RATES[0]))]
        ),
        "play": _sent("Fetch and play a file", commands.play("https://test.com/test.mp3"), {"file": _TEXT}),
        "break": _sent("Silence at once", commands.break_(), {}),
        "digits": _sent("Press keys", commands.digits("123"), {"data": _NUMBER}),
        "transfer": _sent("Transfer the call", commands.transfer("33184800000"), {"data": _NUMBER}),
        "callStarted": _sent("To the JSON dialect only", commands.call_started("abc-1"), {"call_id": _TEXT}),
        "callEnded": _sent("To the JSON dialect only", commands.call_ended("abc-1"), {"call_id": _TEXT}),
        "error": _sent("To the JSON dialect only: what could not be read", commands.error("…"), {"message": _TEXT}),
    }


def _sent(about: str, text: str, fields: dict[str, Any]) -> dict[str, Any]:
    example = json.loads(text)
    return _event(about, example["event"], fields, list(fields), examples=[example])


def _event(
    about: str, name: str, fields: dict[str, Any], required: list[str], examples: list[Any] | None = None
) -> dict[str, Any]:
    schema = {"type": "object", "required": ["event", *required], "properties": {"event": {"const": name}, **fields}}
    return _message(about, schema, examples=examples)


def _message(
    about: str, schema: dict[str, Any], *, content: str = "application/json", examples: list[Any] | None = None
) -> dict[str, Any]:
    made = {"summary": about, "contentType": content, "payload": schema}
    return {**made, "examples": [{"payload": example} for example in examples]} if examples else made
