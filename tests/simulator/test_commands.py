"""The five commands, read as strictly as a media server reads them."""

from __future__ import annotations

import base64
import io
import json
import wave
from typing import Any

import numpy as np
import pytest

from ringover_sim.commands import Acknowledgement, Control, StreamAudio, WireViolation, parse

PCM = np.full(160, 5000, "<i2").tobytes()


def audio(**changes: Any) -> str:
    data = {"audioDataType": "raw", "sampleRate": 8000, "audioData": base64.b64encode(PCM).decode()} | changes
    return json.dumps({"type": "streamAudio", "data": {k: v for k, v in data.items() if v is not None}})


def wav(rate: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.full(rate // 2, 5000, "<i2").tobytes())
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('{"event": "play", "file": "https://test.com/test.mp3"}', Control("play", "https://test.com/test.mp3")),
        ('{"event": "break"}', Control("break", None)),
        ('{"event": "digits", "data": 123}', Control("digits", 123)),
        ('{"event": "digits", "data": 0}', Control("digits", 0)),
        ('{"event": "digits", "data": "012*#"}', Control("digits", "012*#")),
        ('{"event": "transfer", "data": 33184800000}', Control("transfer", 33184800000)),
        (audio(), StreamAudio("raw", 8000, PCM)),
    ],
)
def test_the_documented_forms(message: str, expected: object) -> None:
    assert parse(message, acknowledged=False) == expected


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"\0\0", "binary message of 2 bytes"),
        ("hello", "no JSON"),
        ("[1]", "JSON object"),
        ('{"event": "streamAudio"}', "unknown message"),
        ('{"event": "call_started"}', "did not open with call_start"),
        ('{"type": "break"}', '"type" must be "streamAudio"'),
        ('{"event": "play", "file": "/etc/greeting.mp3"}', "http"),
        ('{"event": "transfer"}', "transfer: data"),
        ('{"event": "transfer", "data": "sales"}', "transfer: data"),
        ('{"event": "digits", "data": ""}', "digits: data"),
        ('{"event": "digits", "data": true}', "digits: data"),
        ('{"event": "digits", "data": -1}', "digits: data"),
        (audio(audioDataType=None), "audioDataType"),
        (audio(sampleRate="8000"), "sampleRate"),
        (audio(sampleRate=44100), "sampleRate"),
        (audio(sampleRate=24000), "wrong pitch"),
        (audio(audioData="ab"), "base64"),
        (audio(audioData="a_-b"), "base64"),
        (audio(audioData=""), "empty"),
        (audio(audioData="AAAA"), "no 16-bit samples"),
    ],
)
def test_what_no_media_server_understands(message: str | bytes, problem: str) -> None:
    with pytest.raises(WireViolation, match=problem):
        parse(message, acknowledged=False)


def test_acknowledgements_belong_to_call_start() -> None:
    message = '{"event": "error", "message": "bad base64"}'
    assert parse(message, acknowledged=True) == Acknowledgement("error", "bad base64")


@pytest.mark.parametrize("kind", ["wav", "raw"])
def test_audio_is_brought_to_the_calls_rate(kind: str) -> None:
    sent = wav(16000) if kind == "wav" else np.full(8000, 5000, "<i2").tobytes()
    parsed = parse(
        audio(audioDataType=kind, sampleRate=16000, audioData=base64.b64encode(sent).decode()), acknowledged=False
    )
    assert isinstance(parsed, StreamAudio)
    samples = np.frombuffer(parsed.decode(8000), "<i2")
    assert abs(len(samples) - 4000) <= 2
    assert (np.abs(samples[100:-100] - 5000) < 50).all()


def test_a_file_that_is_not_what_it_says() -> None:
    parsed = parse(audio(audioDataType="mp3"), acknowledged=False)
    assert isinstance(parsed, StreamAudio)
    with pytest.raises(WireViolation, match="audioDataType 'mp3', but no readable audio"):
        parsed.decode(8000)
