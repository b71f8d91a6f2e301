"""Text messages: the JSON dialect, key presses, metadata in any shape, and what is none of these."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamer.inbound import (
    Audio,
    CallEnd,
    CallStart,
    Dtmf,
    InboundDecoder,
    Metadata,
    UnknownText,
    Unreadable,
)
from support.media_wire import heard, rtp, voice


def read(message: object) -> list[Any]:
    text = message if isinstance(message, str) else json.dumps(message)
    return InboundDecoder(8000, 1).receive_text(text)


def fields(message: object) -> tuple[str | None, str | None, str | None]:
    (event,) = read(message)
    assert isinstance(event, Metadata)
    return event.call_id, event.from_number, event.to_number


def test_what_the_free_module_sends() -> None:
    message = {"callId": "abc-1", "from": "33612345678", "to": "33187654321"}
    assert read(message) == [Metadata("abc-1", "33612345678", "33187654321", message)]


@pytest.mark.parametrize("name", ["call_id", "callId", "call_uuid", "uuid", "id", "CALL-ID", "CallUUID"])
@pytest.mark.parametrize(("value", "expected"), [("a-1", "a-1"), (4711, "4711"), (" a1 ", "a1")])
def test_the_call_id_under_any_name(name: str, value: object, expected: str) -> None:
    assert fields({name: value, "other": 1}) == (expected, None, None)


@pytest.mark.parametrize(
    "value", [None, True, "", 1.5, [], {}, "../../etc/passwd", "a b", "a{b}", "x" * 129, "\ud800", "a\n"[:1] + "\x00"]
)
def test_what_cannot_name_a_call_is_no_call_id(value: object) -> None:
    assert fields({"call_id": value}) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("33612345678", "33612345678"),
        (33612345678, "33612345678"),
        ("+33 6 12-34.56(78)", "33612345678"),
        ("sip:+33612345678@10.0.0.1;transport=udp", "33612345678"),
        ('"Bob" <sip:201@pbx>', "201"),
        ("tel:+33612345678", "33612345678"),
        ({"number": "+33612345678", "name": "Bob"}, "33612345678"),
        ("anonymous", None),
        ("", None),
        ("٣٣٦", None),
        ("3" * 21, None),
        (True, None),
        (None, None),
        (-5, None),
        ([1], None),
        ({"number": {"number": 1}}, None),
    ],
)
def test_numbers_become_digits(value: object, expected: str | None) -> None:
    assert fields({"from": value})[1] == expected
    assert fields({"to_number": value})[2] == expected


@pytest.mark.parametrize("name", ["from", "from_number", "fromNumber", "caller", "caller_id_number", "ani"])
def test_the_callers_number_under_any_name(name: str) -> None:
    assert fields({name: 336})[1] == "336"


@pytest.mark.parametrize("name", ["to", "to_number", "toNumber", "callee", "called", "destination_number", "dnis"])
def test_the_called_number_under_any_name(name: str) -> None:
    assert fields({name: 331})[2] == "331"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"event": "start", "start": {"callId": "a", "from": 1, "to": 2}}, ("a", "1", "2")),
        ({"metadata": {"call": {"id": "a"}}, "caller": {"number": 1}}, ("a", "1", None)),
        ({"id": "message-1", "call": {"call_id": "a"}}, ("a", None, None)),
        ({"user": {"id": "u"}, "from": 1}, (None, "1", None)),
        ({"call_id": "", "callId": "a"}, ("a", None, None)),
        ([{"callId": "a"}, {"from": 1}], ("a", "1", None)),
        ({"a": {"b": {"c": {"d": {"call_id": "too deep"}}}}}, (None, None, None)),
    ],
)
def test_fields_are_found_where_they_are(message: object, expected: tuple[str | None, str | None, str | None]) -> None:
    assert fields(message) == expected


def test_the_specifications_messages() -> None:
    start = {"event": "call_start", "call_id": "c1"}
    assert read(start) == [CallStart("c1", start)]
    assert read({"event": "call_end", "call_id": 7}) == [CallEnd("7")]
    assert read({"event": "call_end"}) == [CallEnd(None)]
    with_numbers = {"event": "call_start", "call_id": "c1", "from_number": "+336"}
    assert read(with_numbers) == [CallStart("c1", with_numbers), Metadata("c1", "336", None, with_numbers)]


def audio_data(data: bytes) -> str:
    return json.dumps({"event": "audio_data", "call_id": "c1", "data": base64.b64encode(data).decode()})


def test_audio_data_is_read_like_binary_and_mixes_with_it() -> None:
    decoder, pcm = InboundDecoder(8000, 1), voice(8000, 0.1)
    assert decoder.receive_text(audio_data(pcm[:320])) == [Audio(pcm[:320])]
    assert decoder.receive_text(audio_data(pcm[320:401])) == []
    assert decoder.receive_binary(pcm[401:640]) == [Audio(pcm[320:640])]
    assert decoder.receive_text(audio_data(b"")) == []


def test_audio_data_may_carry_rtp() -> None:
    decoder = InboundDecoder(8000, 1)
    events = [event for n in range(5) for event in decoder.receive_text(audio_data(rtp(n, b"\xff" * 160)))]
    assert heard(events) == bytes(5 * 320)


def test_padding_may_be_missing() -> None:
    text = audio_data(bytes(320)).replace("=", "")
    assert InboundDecoder(8000, 1).receive_text(text) == [Audio(bytes(320))]


@pytest.mark.parametrize("data", [None, 5, "", [], "!!!!", "AAA=A", "A", "é", "AA AA", {"a": 1}])
def test_bad_audio_data_is_unreadable(data: object) -> None:
    decoder = InboundDecoder(8000, 1)
    events = decoder.receive_text(json.dumps({"event": "audio_data", "data": data}))
    assert [type(event) for event in events] == ([] if data == "" else [Unreadable])
    assert decoder.counters.unreadable == len(events)


@pytest.mark.parametrize(
    ("message", "keys"),
    [
        ({"event": "dtmf", "digit": "5"}, "5"),
        ({"dtmf": "5"}, "5"),
        ({"type": "dtmf", "data": {"digit": "#"}}, "#"),
        ({"event": "DTMF", "dtmf": {"digit": "*", "duration": 100}}, "*"),
        ({"event": "dtmf", "data": 7}, "7"),
        ({"event": "dtmf", "digit": 0}, "0"),
        ({"event": "dtmf", "digits": "12a"}, "12A"),
        ({"event": None, "type": "dtmf", "digit": "1"}, "1"),
    ],
)
def test_key_presses(message: object, keys: str) -> None:
    assert read(message) == [Dtmf(key) for key in keys]


@pytest.mark.parametrize("digit", [None, "", "x", "55555" * 20, True, 1.5, -1, ["5"]])
def test_a_key_press_without_a_key_is_unreadable(digit: object) -> None:
    assert [type(event) for event in read({"event": "dtmf", "digit": digit})] == [Unreadable]


def test_a_setting_called_dtmf_is_metadata() -> None:
    assert fields({"callId": "a", "dtmf": "rfc2833"}) == ("a", None, None)


@pytest.mark.parametrize("text", ["", "hello", "5", '"x"', "null", "callId=a", '{"event": "play", "file": "x"}', "[1]"])
def test_unknown_text_is_no_error(text: str) -> None:
    decoder = InboundDecoder(8000, 1)
    assert decoder.receive_text(text) == [UnknownText(text)]
    assert decoder.counters.unreadable == 0


def test_an_object_of_other_fields_is_metadata_for_the_agent() -> None:
    assert read({"customer": "gold"}) == [Metadata(None, None, None, {"customer": "gold"})]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1,",
        "{'a': 1}",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": -Infinity}',
        '{"a": ' + "1" * 5000 + "}",
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        '{"a":' * 40 + "1" + "}" * 40,
    ],
    ids=lambda text: text[:10],
)
def test_broken_json_and_bombs_are_unreadable(text: str) -> None:
    decoder = InboundDecoder(8000, 1)
    assert [type(event) for event in decoder.receive_text(text)] == [Unreadable]
    assert decoder.counters.unreadable == 1


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    for prefix in ("", "{", "[", '{"event": "audio_data", "data": "'):
        assert read(prefix + text) is not None


NAMES = st.sampled_from(
    ["event", "type", "data", "digit", "dtmf", "call_id", "id", "from", "to", "caller", "number", "call"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
KINDS = st.sampled_from(["call_start", "call_end", "audio_data", "dtmf", "play", "metadata"])
JSON = st.recursive(
    SCALARS | KINDS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6),
    max_leaves=30,
)


@given(JSON)
def test_any_json_is_read_and_what_is_passed_on_can_be_written_again(message: object) -> None:
    for event in read(json.dumps(message)):
        if isinstance(event, Metadata | CallStart):
            assert json.loads(json.dumps(event.raw)) == event.raw
            assert event.call_id is None or event.call_id.isascii()
        if isinstance(event, Metadata):
            assert all(n is None or n.isdecimal() for n in (event.from_number, event.to_number))
        if isinstance(event, Dtmf):
            assert event.digit in set("0123456789*#ABCD")
