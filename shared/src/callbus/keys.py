"""The names of every key in Redis, and how long or how large each may grow. No other module spells a key.

The braces are Redis hash tags: all keys of one call (and of one streamer) share a cluster slot.
"""

from __future__ import annotations

import re

from callbus.errors import BadCallId

EVENTS = "calls:events"
"""Stream: call lifecycle, one entry a change."""
WAITING = "calls:waiting"
"""Stream: one entry for each call that wants a worker; a pending entry is that worker's lease."""
WORKERS_GROUP = "workers"
"""The consumer group on WAITING."""
JOBS_GROUP = "jobs"
"""The consumer group of ai-jobs on EVENTS: what comes after a call reaches the call's record."""
DEAD_LETTERS = "deliveries:dead"
"""Sorted set: ids of the calls whose record the customer's webhook did not take, by the time (epoch s) of giving up."""
RECENT = "calls:recent"
"""Sorted set: call ids by the time (epoch s) of their first event, for listings."""
SERVICES = "services"
"""Sorted set: `kind:id` of the running services by the time (epoch s) at which their heartbeat expires."""
WEBHOOKS = "{webhooks}"
"""Hash: how many webhooks all gateways have received and refused, and since when (epoch s)."""
WEBHOOKS_REFUSED = "{webhooks}:refused"
"""Sorted set: the last reasons for which webhooks were refused, by the time (epoch s) of the last one."""
WEBHOOKS_REFUSED_TIMES = "{webhooks}:refused:times"
"""Hash: how often, for each of those reasons."""

BY_NUMBERS = "calls:between:"
"""What the names of all `by_numbers` begin with."""

EVENTS_MAXLEN = 20_000
EVENTS_KEPT_S = 7 * 24 * 3600
"""Entries on EVENTS are deleted this long after they were written, once ai-jobs has read them."""
WAITING_MAXLEN = 20_000
MEDIA_IN_MAXLEN = 3_000
"""Entries of one call's inbound stream: one a 20 ms tick, so a minute."""
COMMANDS_MAXLEN = 5_000
TRANSCRIPT_MAXLEN = 10_000
RECENT_MAX = 2_000
BY_NUMBERS_MAX = 200
"""Live calls between two numbers that are known; of more, the newest."""

CALL_TTL_S = 24 * 3600
"""Every key of a call disappears this long after it was last touched."""
MEDIA_TTL_S = 900
"""The audio of a call disappears this long after its last chunk."""
COMMANDS_TTL_S = 900
DEDUP_TTL_S = 24 * 3600
"""How long a webhook's delivery is remembered, so that a repetition is known as one."""
DEAD_LETTER_TTL_S = 31 * 24 * 3600
"""How long what could not be delivered, and why, is remembered after the last try."""
WEBHOOKS_TTL_S = 31 * 24 * 3600
"""How long the count of webhooks lasts after the last one."""
HEARTBEAT_TTL_S = 5
RECONNECT_WINDOW_S = 10
"""A media connection that drops may come back with the same call id within this time."""

_CALL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+=-]{0,127}")


def clean_call_id(raw: object) -> str:
    """The call id as a string. Raises BadCallId for what could not be the name of a key and of a folder."""
    text = str(raw).strip() if isinstance(raw, str | int) and not isinstance(raw, bool) else ""
    if not _CALL_ID.fullmatch(text):
        raise BadCallId(
            f"call id {str(raw)[:40]!r} can't be used: expected 1 to 128 letters, digits or . _ : @ + = -, "
            "beginning with a letter or digit"
        )
    return text


def call(call_id: str) -> str:
    """Hash: the call's state, each service its own fields."""
    return f"call:{{{call_id}}}"


def media_in(call_id: str) -> str:
    """Stream: audio and media events of one call, in one order."""
    return f"call:{{{call_id}}}:in"


def transcript(call_id: str) -> str:
    """Stream: what was said, what was heard, what was done."""
    return f"call:{{{call_id}}}:transcript"


def done_actions(call_id: str) -> str:
    """Set: ids of the actions (transfer, digits, play, hangup) that were carried out, so that none is done twice."""
    return f"call:{{{call_id}}}:done"


def commands(streamer_id: str) -> str:
    """Stream: what workers ask of one streamer, for all its calls."""
    return f"streamer:{{{streamer_id}}}:commands"


def delivery(digest: str) -> str:
    """String: a webhook delivery that was published already."""
    return f"webhook:seen:{digest}"


def by_numbers(from_number: str, to_number: str) -> str:
    """Sorted set: ids of the live calls between two numbers, by the time (epoch s) of their first event."""
    return f"{BY_NUMBERS}{from_number}:{to_number}"


def service(kind: str, service_id: str) -> str:
    """String: one running service's heartbeat, as JSON."""
    return f"service:{kind}:{service_id}"


def outgoing(call_id: str) -> str:
    """Hash: the delivery of a call's record to the customer's webhook; see ai_worker.jobs.deliveries.Delivery."""
    return f"call:{{{call_id}}}:outgoing"


def aftercall(call_id: str) -> str:
    """Hash: Ringover's aftercall events of a call as JSON, by their ids on EVENTS."""
    return f"call:{{{call_id}}}:aftercall"


def summary(call_id: str) -> str:
    """String: the language model's summary of a call, as JSON."""
    return f"call:{{{call_id}}}:summary"


def lock(call_id: str, work: str) -> str:
    """String: whoever does this work for a call just now."""
    return f"call:{{{call_id}}}:lock:{work}"


def of_call(call_id: str) -> list[str]:
    """All keys of one call, its hash last."""
    of = (media_in, transcript, done_actions, outgoing, aftercall, summary, call)
    return [key(call_id) for key in of]
