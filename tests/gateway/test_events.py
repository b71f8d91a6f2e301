"""From a webhook's JSON to one typed event, whichever form it came in and however little is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callbus.calls import LifecycleEvent
from webhook_gateway.events import KNOWN_EVENTS, BadEvent, WebhookEvent, parse
from webhook_gateway.strict_json import BadJson, read_object

AT = 1732266000.123


def envelope(
    event: object = "answered", resource: object = "call", timestamp: object = AT, **data: Any
) -> dict[str, Any]:
    return {
        "resource": resource,
        "event": event,
        "timestamp": timestamp,
        "attempt": 1,
        "data": {"call_id": "c1", "channel_id": 7, **data},
    }


def test_the_real_envelope() -> None:
    event = parse(
        envelope(
            call_id=1234567890123456789,
            start_time=1732265990.1,
            answered_time="1732266000",
            direction="inbound",
            from_number=33612345678,
            to_number="+33 1 84 80 00 00",
            user_id="USER22673838",
            is_ivr=True,
            ivr_data={"ivr_name": "bot"},
            user={"firstname": "Zoé"},
        )
    )
    assert (event.resource, event.event, event.state) == ("call", "answered", "answered")
    assert (event.call_id, event.channel_id) == ("1234567890123456789", "7")
    assert (event.from_number, event.to_number, event.direction) == ("33612345678", "33184800000", "inbound")
    assert event.timestamp == AT
    assert event.once() == {
        "from_number": "33612345678",
        "to_number": "33184800000",
        "direction": "inbound",
        "ringing_at": "1732265990.100",
        "answered_at": "1732266000.000",
    }
    assert event.latest() == {"user": '{"firstname":"Zoé"}', "ivr": '{"ivr_name":"bot"}'}
    # Those who read the stream find everything, and in one form.
    assert event.data["call_id"] == "1234567890123456789"
    assert event.data["from_number"] == "33612345678"
    assert event.data["answered_time"] == 1732266000.0
    assert event.data["is_ivr"] is True


@pytest.mark.parametrize(
    ("name", "event", "state"),
    [
        ("call_ringing", "ringing", "ringing"),
        ("incoming_call", "ringing", "ringing"),
        ("call_answered", "answered", "answered"),
        ("call_ended", "hangup", "ended"),
        ("call_parked", "call_parked", None),
    ],
)
def test_the_specifications_form(name: str, event: str, state: str | None) -> None:
    parsed = parse({"event_type": name, "call_id": "test123"})
    assert (parsed.resource, parsed.event, parsed.state, parsed.call_id) == ("call", event, state, "test123")
    assert parsed.timestamp is None
    assert parsed.lifecycle(now=5.0).timestamp == 5.0


@pytest.mark.parametrize(
    "stamp", [AT, str(AT), "2024-11-22T09:00:00.123Z", "2024-11-22T10:00:00.123+01:00", "2024-11-22T09:00:00.123"]
)
def test_timestamps_are_epoch_seconds_or_iso_8601(stamp: object) -> None:
    spec = parse({"event_type": "call_ringing", "call_id": 5, "timestamp": stamp, "direction": "in"})
    assert (spec.call_id, spec.direction) == ("5", "inbound")
    assert spec.timestamp == pytest.approx(AT)
    assert parse(envelope(timestamp=stamp)).timestamp == pytest.approx(AT)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("ringing", "ringing"),
        ("answered", "answered"),
        ("hangup", "ended"),
        ("missed", "ended"),
        ("voicemail", "ended"),
    ],
)
def test_what_an_event_says_of_the_call(name: str, state: str) -> None:
    event = parse(envelope(name))
    assert event.state == state
    assert event.once() == {f"{state}_at": "1732266000.123"} | ({"ended_as": name} if state == "ended" else {})
    for resource in ("aftercall", "message", "call_of_duty"):
        other = parse(envelope(name, resource))
        assert other.state is None
        assert other.once() == {}


@pytest.mark.parametrize(("resource", "name"), [(r, e) for r, events in KNOWN_EVENTS.items() for e in events])
def test_documented_events_are_known_by_their_name_alone(resource: str, name: str) -> None:
    bare = parse({"event": name, "data": {"call_id": "c1"}})
    assert (bare.resource, bare.event) == (resource, name)


def test_hangup_and_missed_bring_their_own() -> None:
    hangup = parse(
        envelope(
            "hangup",
            hangup_time=AT - 1,
            duration_in_seconds="12.5",
            answering_machine_detection="HUMAN",
            record="https://x/y",
        )
    )
    assert hangup.once() == {"ended_at": "1732265999.123", "ended_as": "hangup"}
    assert hangup.latest() == {"duration_s": "12.500", "amd": "HUMAN", "recording_url": "https://x/y"}
    missed = parse(envelope("missed", reason="NO_ANSWER"))
    assert missed.once() == {"ended_at": "1732266000.123", "ended_as": "missed", "end_reason": "NO_ANSWER"}


def test_everything_but_the_name_and_the_call_may_be_missing_or_null() -> None:
    nothing = dict.fromkeys((*envelope()["data"], "from_number", "user", "ivr_data", "start_time", "record"))
    for data in ({"call_id": "c1"}, {**nothing, "call_id": "c1"}):
        event = parse({"resource": None, "event": "ringing", "timestamp": None, "attempt": None, "data": data})
        assert (event.resource, event.call_id, event.channel_id, event.attempt) == ("call", "c1", "", 1)
        assert (event.once(), event.latest()) == ({}, {})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from_number", "anonymous"),
        ("from_number", {"a": 1}),
        ("from_number", True),
        ("from_number", "1" * 33),
        ("start_time", "yesterday"),
        ("start_time", -5),
        ("start_time", 1e300),
        ("start_time", True),
        ("duration_in_seconds", "long"),
        ("duration_in_seconds", -1),
        ("user", "Zoé"),
        ("user", {}),
        ("answering_machine_detection", 5),
        ("direction", 5),
    ],
)
def test_what_cannot_be_read_in_the_data_is_left_out(field: str, value: object) -> None:
    event = parse(envelope("tags_updated", "aftercall", **{field: value}))
    assert (event.once(), event.latest()) == ({}, {})


@pytest.mark.parametrize(
    ("resource", "name", "call_id"),
    [("message", "received", None), ("call", "contact", None), ("fax", "sent", 5), ("call", "parked", "c1")],
)
def test_unknown_events_and_those_without_a_call_are_events(resource: str, name: str, call_id: object) -> None:
    event = parse(envelope(name, resource, call_id=call_id))
    assert (event.resource, event.event, event.state) == (resource, name, None)
    assert event.call_id == ("" if call_id is None else str(call_id))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "event is missing"),
        ({"event": ""}, "event is missing"),
        ({"event": 5}, "event is missing"),
        ({"event": "x" * 101}, "longer"),
        ({"event_type": ["call_ringing"], "call_id": "c1"}, "event_type is missing"),
        (envelope(resource=5), "resource is missing"),
        ({"event": "ringing", "data": []}, "data is list"),
        (envelope("ringing", call_id=None), "needs a call_id"),
        (envelope("hangup", call_id=""), "needs a call_id"),
        ({"event_type": "call_ringing"}, "needs a call_id"),
        (envelope(call_id="../../etc"), "can't be used"),
        (envelope(call_id="a b"), "can't be used"),
        (envelope(call_id={"a": 1}), "can't be used"),
        (envelope(call_id="x" * 129), "can't be used"),
        (envelope("received", "message", call_id="{x}"), "can't be used"),
        (envelope(timestamp="soon"), "timestamp 'soon'"),
        (envelope(timestamp=0), "timestamp"),
        (envelope(timestamp=AT * 1000), "timestamp"),
        (envelope(timestamp=True), "timestamp"),
        (envelope(timestamp=[]), "timestamp"),
    ],
)
def test_what_is_no_event_is_refused_with_the_reason(body: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadEvent, match=reason):
        parse(body)


def delivery(body: dict[str, Any]) -> str:
    return parse(body).delivery


def test_repetitions_share_a_delivery() -> None:
    first = delivery(envelope())
    assert delivery({**envelope(), "attempt": 3}) == first
    assert delivery(envelope(timestamp=str(AT))) == first
    assert delivery(envelope(channel_id="7", user={"firstname": "Zoé"})) == first
    others = [envelope("ringing"), envelope(resource="aftercall"), envelope(call_id="c2"), envelope(channel_id=8)]
    others.append(envelope(timestamp=AT + 0.001))
    assert len({first, *map(delivery, others)}) == 6


def test_without_a_timestamp_or_a_call_the_content_tells_repetitions() -> None:
    spec = {"event_type": "call_ringing", "call_id": "test123"}
    assert delivery(spec) == delivery(dict(reversed(spec.items())))
    assert delivery(spec) == delivery({**spec, "event_type": "incoming_call"})
    assert delivery(spec) != delivery({**spec, "from_number": "33612345678"})
    assert delivery(spec) != delivery({**spec, "timestamp": AT})
    message = envelope("received", "message", call_id=None, body="hello")
    assert delivery(message) == delivery({**message, "attempt": 2})
    assert delivery(message) != delivery(envelope("received", "message", call_id=None, body="bye"))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"[]", "expected a JSON object, got list"),
        (b"null", "expected a JSON object"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "nested deeper"),
        (b"[" * 60000, "nested deeper|not JSON"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
    ],
)
def test_bytes_that_are_no_json_object_are_refused_with_the_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(BadJson, match=reason):
        read_object(raw)


def test_json_is_read_as_far_as_it_can_be_written_again() -> None:
    assert read_object(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    assert read_object(rb'{"\ud83d": ["\ud83d\ude00", "cut \ud83d", "Zo\u00e9"]}') == {"�": ["😀", "cut �", "Zoé"]}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OPTIONAL = "call_id channel_id user_id from_number start_time direction user record reason duration_in_seconds"
DATA = st.fixed_dictionaries({}, optional=dict.fromkeys(OPTIONAL.split(), JSON))
BODIES = st.one_of(
    DATA,
    st.fixed_dictionaries(
        {"event": st.sampled_from(["ringing", "hangup", "x"]) | JSON},
        optional={"resource": JSON, "timestamp": JSON, "attempt": JSON, "data": DATA},
    ),
    DATA.flatmap(lambda data: st.just({**data, "event_type": "call_ended", "call_id": "c1"})),
)


@settings(deadline=None)
@given(BODIES)
def test_any_json_is_an_event_that_can_be_published_or_a_bad_one(body: dict[str, Any]) -> None:
    try:
        event = parse(read_object(json.dumps(body).encode()))
    except BadEvent:
        return
    assert isinstance(event, WebhookEvent)
    entry = event.lifecycle(now=AT)
    again = LifecycleEvent.from_fields(entry.fields())
    assert (again.resource, again.event, again.call_id, again.data) == (
        event.resource,
        event.event,
        event.call_id,
        event.data,
    )
    assert all(value.encode() for value in (event.delivery, *event.once().values(), *event.latest().values()))


@settings(deadline=None)
@given(st.binary() | JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")))
def test_any_bytes_are_a_json_object_or_a_reason(raw: bytes) -> None:
    try:
        assert isinstance(read_object(raw), dict)
    except BadJson:
        pass
