"""Delivers a call's lifecycle events to the gateway as Ringover does: signed, and again when it fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from ringover_sim.errors import GatewayError
from ringover_sim.signing import Scheme, sign

EventName = Literal["ringing", "answered", "hangup"]
Form = Literal["envelope", "specification"]
ENDPOINT = "/api/v1/webhooks/ringover/event"
_SPECIFICATION_NAME: dict[EventName, str] = {
    "ringing": "call_ringing",
    "answered": "call_answered",
    "hangup": "call_ended",
}
RETRY_DELAYS = (0.25, 0.5, 1.0, 2.0)
"""Seconds before attempts 2 to 5; Ringover's own schedule is not published."""


@dataclass(frozen=True, slots=True)
class Parties:
    """Who calls whom: E.164 numbers without `+`."""

    call_id: str
    caller: str
    called: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an event got there: last HTTP status, attempts, and milliseconds of the last attempt."""

    event: str
    status: int
    attempts: int
    took_ms: float


def envelope(name: EventName, parties: Parties, *, at: float, attempt: int, times: dict[str, float]) -> dict[str, Any]:
    """The real event (RINGOVER.md 1.2); `at` and `times` (start, answered, hangup) are epoch seconds."""
    data: dict[str, Any] = {
        "id": f"{parties.call_id}-{name}",
        "call_id": parties.call_id,
        "channel_id": f"{parties.call_id}-1",
        "status": name,
        "start_time": times["start"],
        "answered_time": times.get("answered"),
        "direction": "inbound",
        "from_number": parties.caller,
        "to_number": parties.called,
        "user_id": None,
        "is_internal": False,
        "is_anonymous": False,
        "is_ivr": True,
        "ivr_data": {"number": parties.called, "scenario_name": "voicebot", "ivr_name": "voicebot"},
        "user": None,
    }
    if name == "hangup":
        data["hangup_time"] = times["hangup"]
        data["duration_in_seconds"] = round(times["hangup"] - times.get("answered", times["hangup"]), 3)
        data["record"] = None
        data["answering_machine_detection"] = None
    return {"resource": "call", "event": name, "timestamp": at, "attempt": attempt, "data": data}


def specification_event(name: EventName, parties: Parties, *, at: float) -> dict[str, Any]:
    """The specification's form (RINGOVER.md 1.3)."""
    return {
        "event_type": _SPECIFICATION_NAME[name],
        "call_id": parties.call_id,
        "from_number": parties.caller,
        "to_number": parties.called,
        "direction": "inbound",
        "timestamp": at,
    }


def endpoint(gateway_url: str) -> str:
    """The URL to post to: a bare host gets the specification's path, any other path is taken as it is."""
    return gateway_url if urlsplit(gateway_url).path not in ("", "/") else gateway_url.rstrip("/") + ENDPOINT


class WebhookSender:
    """Delivers the events of one call, unsigned when the secret is empty.

    `signed_url` is what is signed when the gateway has another public URL.
    """

    def __init__(
        self,
        client: httpx.AsyncClient,
        gateway_url: str,
        secret: str,
        parties: Parties,
        *,
        scheme: Scheme = "v1",
        form: Form = "envelope",
        signed_url: str | None = None,
        clock: Callable[[], float] = time.time,
        retry_delays: tuple[float, ...] = RETRY_DELAYS,
    ) -> None:
        self._client, self._secret, self._parties = client, secret, parties
        self._url = endpoint(gateway_url)
        self._signed_url = endpoint(signed_url) if signed_url else self._url
        self._scheme: Scheme = scheme
        self._form: Form = form
        self._clock, self._retry_delays = clock, retry_delays
        self._times: dict[str, float] = {}

    async def deliver(self, name: EventName) -> Delivery:
        """Post one event; tried again on a connection error, 429 and 5xx, with `attempt` counted up.

        Raises GatewayError when it is refused (4xx) or never gets through.
        """
        at = self._clock()
        self._times[{"ringing": "start", "answered": "answered"}.get(name, "hangup")] = at
        problem = ""
        for attempt, delay in enumerate((*self._retry_delays, None), start=1):
            began = time.perf_counter()
            try:
                response = await self._post(name, at, attempt)
            except httpx.TransportError as error:
                problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
            else:
                if response.is_success:
                    took = (time.perf_counter() - began) * 1000
                    return Delivery(name, response.status_code, attempt, round(took, 1))
                problem = f"HTTP {response.status_code} {response.text[:120]!r}"
                if response.status_code < 500 and response.status_code != 429:
                    raise GatewayError(f"the gateway refused the {name!r} event: {problem} ({self._url})")
            if delay is not None:
                await asyncio.sleep(delay)
        tries = len(self._retry_delays) + 1
        raise GatewayError(
            f"the gateway at {self._url} did not take the {name!r} event after {tries} attempts: {problem}"
        )

    async def _post(self, name: EventName, at: float, attempt: int) -> httpx.Response:
        event = (
            envelope(name, self._parties, at=at, attempt=attempt, times={"start": at, **self._times})
            if self._form == "envelope"
            else specification_event(name, self._parties, at=at)
        )
        body = json.dumps(event).encode()
        signature = (
            sign(self._scheme, self._secret, url=self._signed_url, event=event, body=body, now=self._clock())
            if self._secret
            else {}
        )
        return await self._client.post(
            self._url, content=body, headers={"Content-Type": "application/json", **signature}
        )
