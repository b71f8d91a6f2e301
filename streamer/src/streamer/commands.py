"""What the streamer sends to the media server: the five documented commands and the JSON dialect's acknowledgements.

The forms are Ringover's own (RINGOVER.md 3.3), letter for letter.
"""

import json
import re
from binascii import b2a_base64
from urllib.parse import urlsplit

from callbus.pcm import CALL_RATES, SAMPLE_BYTES

MOST_DIGITS = 64
LONGEST_EXACT_NUMBER = 15
"""Decimal digits that every JSON reader keeps: many read numbers as 64-bit floats."""

_STREAM_AUDIO = {
    rate: f'{{"type": "streamAudio", "data": {{"audioDataType": "raw", "sampleRate": {rate}, "audioData": "'
    for rate in CALL_RATES
}
_BREAK = '{"event": "break"}'
_KEYS = re.compile(r"[0-9*#A-D]+")
_PHONE_NUMBER = re.compile(r"[0-9]{2,20}")
_SEPARATORS = re.compile(r"[\s.-]+")


class CommandError(ValueError):
    """A command that can't be sent as it was asked for."""


def play(url: str) -> str:
    """Let the media server fetch and play the file at `url`. Raises CommandError unless it is a full http(s) URL."""
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        complete = False
    if not complete or not url.isprintable() or " " in url:
        raise CommandError(f"can't play {url[:80]!r}: expected a complete http:// or https:// URL without spaces")
    return json.dumps({"event": "play", "file": url})


def stream_audio(pcm: bytes, sample_rate: int) -> str:
    """One playback of raw s16le mono at 8000 or 16000 Hz. Raises CommandError for other rates and for half samples."""
    head = _STREAM_AUDIO.get(sample_rate)
    if head is None:
        raise CommandError(f"can't stream at {sample_rate} Hz: expected one of {', '.join(map(str, CALL_RATES))}")
    if not pcm or len(pcm) % SAMPLE_BYTES:
        raise CommandError(f"can't stream {len(pcm)} bytes of audio: expected whole 16-bit samples, at least one")
    return f'{head}{b2a_base64(pcm, newline=False).decode("ascii")}"}}}}'


def break_() -> str:
    """Silence at once."""
    return _BREAK


def digits(keys: str) -> str:
    """Press keys (0-9 * # A-D). A JSON number where that loses nothing, else a string. Raises CommandError."""
    pressed = keys.upper()
    if not _KEYS.fullmatch(pressed) or len(pressed) > MOST_DIGITS:
        raise CommandError(f"can't press {keys[:80]!r}: expected 1 to {MOST_DIGITS} of 0-9 * # A-D")
    return f'{{"event": "digits", "data": {_number_or_string(pressed)}}}'


def transfer(number: str) -> str:
    """Transfer the call to a phone number (E.164, with or without +) or an internal one. Raises CommandError.

    Ringover writes E.164 without +, as a JSON number: `+33184800000` becomes 33184800000, which is the same number.
    One that begins with 0 (national, or 00 and a country) is not reinterpreted: it goes as a string, its zeros kept.
    Spaces, dots and dashes are dropped. Parentheses are refused: the 0 in `+33 (0)1` must not be dialled.
    """
    plain = _SEPARATORS.sub("", number)
    international = plain.startswith("+")
    dialled = plain[international:]
    if not _PHONE_NUMBER.fullmatch(dialled) or (international and dialled.startswith("0")):
        raise CommandError(
            f"can't transfer to {number[:80]!r}: expected 2 to 20 digits, in international form (33184800000 or "
            "+33184800000) or an internal number"
        )
    return f'{{"event": "transfer", "data": {_number_or_string(dialled)}}}'


def call_started(call_id: str) -> str:
    """Acknowledges `call_start`; only for clients of the JSON dialect."""
    return json.dumps({"event": "call_started", "call_id": call_id})


def call_ended(call_id: str) -> str:
    """Acknowledges `call_end`; only for clients of the JSON dialect."""
    return json.dumps({"event": "call_ended", "call_id": call_id})


def error(message: str) -> str:
    """Tells a client of the JSON dialect what could not be read."""
    return json.dumps({"event": "error", "message": message})


def _number_or_string(text: str) -> str:
    exact = text.isdecimal() and len(text) <= LONGEST_EXACT_NUMBER and (text == "0" or not text.startswith("0"))
    return text if exact else f'"{text}"'
