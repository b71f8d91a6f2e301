"""A webhook's JSON as one typed event, whichever of the two forms it came in (RINGOVER.md 1.2, 1.3). Pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from callbus import keys
from callbus.calls import LifecycleEvent
from callbus.errors import BadCallId

State: TypeAlias = Literal["ringing", "answered", "ended"]

_STATES: Mapping[str, State] = {
    "ringing": "ringing",
    "answered": "answered",
    "hangup": "ended",
    "missed": "ended",
    "voicemail": "ended",
}
_SPECIFICATION_NAMES = {
    "call_ringing": "ringing",
    "incoming_call": "ringing",
    "call_answered": "answered",
    "call_ended": "hangup",
}
KNOWN_EVENTS: Mapping[str, frozenset[str]] = {
    "call": frozenset({*_STATES, "contact", "routing", "ivr_response_code"}),
    "aftercall": frozenset(
        {
            "aftercall",
            "comments_updated",
            "tags_updated",
            "record_available",
            "voicemail_available",
            "transcription_available",
            "summary_available",
        }
    ),
    "message": frozenset({"received", "sent"}),
}
_DIRECTIONS = {"in": "inbound", "out": "outbound"}
_LONGEST_NAME = 100
_LONGEST_NUMBER = 32
_YEAR_2200 = 7_258_118_400.0


class BadEvent(ValueError):
    """A webhook that can't be read as an event, with the reason."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One event of Ringover's, normalised: ids are strings, numbers digits, times epoch seconds.

    What was not given is "" or None. `data` is the event's own data, with the fields here in their normalised form.
    """

    resource: str
    event: str
    call_id: str
    channel_id: str
    timestamp: float | None
    attempt: int
    from_number: str
    to_number: str
    direction: str
    start_time: float | None
    answered_time: float | None
    hangup_time: float | None
    duration_s: float | None
    data: Mapping[str, Any]

    @property
    def state(self) -> State | None:
        """What the event says of the call."""
        return _STATES.get(self.event) if self.resource == "call" else None

    @property
    def delivery(self) -> str:
        """The digest that all deliveries of this event share, whatever their attempt.

        An event is known by its call, channel, name and timestamp. Without a timestamp (the specification's form may
        have none), or without a call, its content stands in: two identical posts are one event, posted again.
        """
        identity: list[Any] = [self.resource, self.event, self.call_id, self.channel_id, self.timestamp]
        if self.timestamp is None or not self.call_id:
            identity.append(self.data)
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()

    @property
    def happened_at(self) -> float | None:
        """When (epoch s), by its own word: its timestamp, else the newest of its call's times; None if it has none."""
        if self.timestamp is not None or self.state is None:
            return self.timestamp
        times = (self.start_time, self.answered_time, self.hangup_time)
        return max((at for at in times if at is not None), default=None)

    def once(self) -> dict[str, str]:
        """Fields of the call's hash that the first event to know them sets."""
        # What happened is in `data` when a later event tells it, and the event's own time when it is that event.
        happened = {_STATES[self.event]: self.timestamp} if self.state and self.timestamp is not None else {}
        fields = {
            "from_number": self.from_number,
            "to_number": self.to_number,
            "direction": self.direction,
            "ringing_at": _seconds(self.start_time, happened.get("ringing")),
            "answered_at": _seconds(self.answered_time, happened.get("answered")),
            "ended_at": _seconds(self.hangup_time, happened.get("ended")),
        }
        if self.state == "ended":
            fields["ended_as"] = self.event
            fields["end_reason"] = _text(self.data.get("reason"))
        return {name: value for name, value in fields.items() if value}

    def latest(self) -> dict[str, str]:
        """Fields of the call's hash that the newest event to know them sets."""
        fields = {
            "duration_s": _seconds(self.duration_s),
            "amd": _text(self.data.get("answering_machine_detection")),
            "recording_url": _text(self.data.get("record")),
            "user": _object(self.data.get("user")),
            "ivr": _object(self.data.get("ivr_data")),
        }
        return {name: value for name, value in fields.items() if value}

    def lifecycle(self, *, now: float) -> LifecycleEvent:
        """The entry for `calls:events`; an event without a timestamp happened at `now` (epoch s)."""
        return LifecycleEvent(
            resource=self.resource,
            event=self.event,
            call_id=self.call_id,
            channel_id=self.channel_id,
            timestamp=now if self.timestamp is None else self.timestamp,
            data=self.data,
        )


def parse(body: Mapping[str, Any]) -> WebhookEvent:
    """The event in a webhook's JSON object, in either form. Raises BadEvent."""
    if body.get("event") is None and body.get("event_type") is not None:
        return _specification_form(body)
    return _envelope(body)


def _envelope(body: Mapping[str, Any]) -> WebhookEvent:
    event = _name(body.get("event"), "event")
    data = body.get("data")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise BadEvent(f"data is {type(data).__name__}, expected an object")
    resource = body.get("resource")
    if resource is None:
        resource = next((known for known, events in KNOWN_EVENTS.items() if event in events), "call")
    attempt = body.get("attempt")
    return _normalised(
        _name(resource, "resource"),
        event,
        _timestamp(body.get("timestamp")),
        attempt if isinstance(attempt, int) and attempt > 0 else 1,
        data,
    )


def _specification_form(body: Mapping[str, Any]) -> WebhookEvent:
    name = _name(body["event_type"], "event_type")
    data = {key: value for key, value in body.items() if key not in ("event_type", "timestamp")}
    return _normalised("call", _SPECIFICATION_NAMES.get(name, name), _timestamp(body.get("timestamp")), 1, data)


def _normalised(
    resource: str, event: str, timestamp: float | None, attempt: int, data: Mapping[str, Any]
) -> WebhookEvent:
    call_id = _call_id(data.get("call_id"))
    if not call_id and resource == "call" and event in _STATES:
        raise BadEvent(f"a {event} event needs a call_id, and there is none")
    direction = _text(data.get("direction")).lower()
    texts = {
        "call_id": call_id,
        "channel_id": _identifier(data.get("channel_id")),
        "user_id": _identifier(data.get("user_id")),
        "from_number": _number(data.get("from_number")),
        "to_number": _number(data.get("to_number")),
        "direction": _DIRECTIONS.get(direction, direction),
    }
    times = {name: _epoch(data.get(name)) for name in ("start_time", "answered_time", "hangup_time")}
    return WebhookEvent(
        resource=resource,
        event=event,
        call_id=call_id,
        channel_id=texts["channel_id"],
        timestamp=timestamp,
        attempt=attempt,
        from_number=texts["from_number"],
        to_number=texts["to_number"],
        direction=texts["direction"],
        start_time=times["start_time"],
        answered_time=times["answered_time"],
        hangup_time=times["hangup_time"],
        duration_s=_not_negative(data.get("duration_in_seconds")),
        data={**data, **{name: value for name, value in {**texts, **times}.items() if name in data}},
    )


def _name(value: object, field: str) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise BadEvent(f"{field} is missing: expected an event like {{'resource': 'call', 'event': 'ringing', …}}")
    if len(text) > _LONGEST_NAME:
        raise BadEvent(f"{field} is longer than {_LONGEST_NAME} characters")
    return text


def _call_id(value: object) -> str:
    if value is None or value == "":
        return ""
    try:
        return keys.clean_call_id(value)
    except BadCallId as error:
        raise BadEvent(str(error)) from error


def _timestamp(value: object) -> float | None:
    if value is None or value == "":
        return None
    seconds = _epoch(value)
    if seconds is None:
        raise BadEvent(f"timestamp {str(value)[:40]!r} is neither epoch seconds nor ISO 8601")
    return seconds


def _epoch(value: object) -> float | None:
    """Epoch seconds from a number, the text of one, or ISO 8601 (UTC where it names no zone)."""
    number = _not_negative(value)
    if number is None and isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
            number = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            return None
    return number if number is not None and 0 < number < _YEAR_2200 else None


def _not_negative(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _number(value: object) -> str:
    """A phone number's digits; "" for what is none (`anonymous`, say)."""
    digits = re.sub(r"[^0-9]", "", _identifier(value))
    return digits if len(digits) <= _LONGEST_NUMBER else ""


def _identifier(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _seconds(*candidates: float | None) -> str:
    known = next((value for value in candidates if value is not None), None)
    return "" if known is None else f"{known:.3f}"


def _object(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, dict) and value else ""
