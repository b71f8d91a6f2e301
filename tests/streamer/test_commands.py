"""What goes to the media server, letter for letter."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer import commands
from streamer.commands import CommandError


def test_the_documented_forms() -> None:
    assert commands.play("https://test.com/test.mp3") == '{"event": "play", "file": "https://test.com/test.mp3"}'
    assert commands.stream_audio(b"\x01\x02", 8000) == (
        '{"type": "streamAudio", "data": {"audioDataType": "raw", "sampleRate": 8000, "audioData": "AQI="}}'
    )
    assert commands.break_() == '{"event": "break"}'
    assert commands.digits("123") == '{"event": "digits", "data": 123}'
    assert commands.transfer("33184800000") == '{"event": "transfer", "data": 33184800000}'


def test_the_json_dialects_acknowledgements() -> None:
    assert commands.call_started("abc") == '{"event": "call_started", "call_id": "abc"}'
    assert commands.call_ended("abc") == '{"event": "call_ended", "call_id": "abc"}'
    assert commands.error('no "data"') == '{"event": "error", "message": "no \\"data\\""}'


@given(samples=st.binary(min_size=1, max_size=1000), rate=st.sampled_from([8000, 16000]))
def test_audio_arrives_as_it_was(samples: bytes, rate: int) -> None:
    pcm = samples + samples
    message = json.loads(commands.stream_audio(pcm, rate))
    assert base64.b64decode(message["data"].pop("audioData"), validate=True) == pcm
    assert message == {"type": "streamAudio", "data": {"audioDataType": "raw", "sampleRate": rate}}


@pytest.mark.parametrize(("pcm", "rate"), [(b"\0\0", 24000), (b"\0\0", 0), (b"\0", 8000), (b"", 8000)])
def test_audio_that_would_be_misheard_is_refused(pcm: bytes, rate: int) -> None:
    with pytest.raises(CommandError, match="expected"):
        commands.stream_audio(pcm, rate)


@pytest.mark.parametrize(
    ("keys", "data"),
    [
        ("0", 0),
        ("7", 7),
        ("0123", "0123"),
        ("00", "00"),
        ("12#", "12#"),
        ("*", "*"),
        ("a1d", "A1D"),
        ("123456789012345", 123456789012345),
        ("9007199254740993", "9007199254740993"),
    ],
)
def test_digits_are_a_number_only_where_that_loses_nothing(keys: str, data: int | str) -> None:
    assert json.loads(commands.digits(keys)) == {"event": "digits", "data": data}


@given(keys=st.text("0123456789*#ABCD", min_size=1, max_size=64))
def test_every_key_survives_a_reader_with_64_bit_floats(keys: str) -> None:
    data = json.loads(commands.digits(keys), parse_int=float)["data"]
    assert (data if isinstance(data, str) else f"{data:.0f}") == keys


@pytest.mark.parametrize("keys", ["", " ", "12 3", "1,2", "E", "٣", "1" * 65, '1"}', "12\n"])
def test_what_no_telephone_has_is_refused(keys: str) -> None:
    with pytest.raises(CommandError, match="expected"):
        commands.digits(keys)


@pytest.mark.parametrize(
    ("number", "data"),
    [
        ("+33184800000", 33184800000),
        ("+33 1 84.80-00 00", 33184800000),
        ("0184800000", "0184800000"),
        ("0033184800000", "0033184800000"),
        ("201", 201),
    ],
)
def test_transfer_keeps_the_number(number: str, data: int | str) -> None:
    assert json.loads(commands.transfer(number)) == {"event": "transfer", "data": data}


@pytest.mark.parametrize(
    "number", ["", "+", "+0184800000", "+33 (0)184800000", "sip:a@b", "support", "1", "3" * 21, "++33184"]
)
def test_what_is_no_number_is_refused(number: str) -> None:
    with pytest.raises(CommandError, match="expected"):
        commands.transfer(number)


@pytest.mark.parametrize(
    "url", ["", "test.mp3", "ftp://a/b.mp3", "https://", "https://a/b c.mp3", "http://[::1/x", "https://a/\n"]
)
def test_what_cannot_be_fetched_is_refused(url: str) -> None:
    with pytest.raises(CommandError, match="expected"):
        commands.play(url)


def test_any_url_is_quoted() -> None:
    url = 'https://test.com/"}.mp3?x=é'
    assert json.loads(commands.play(url)) == {"event": "play", "file": url}
