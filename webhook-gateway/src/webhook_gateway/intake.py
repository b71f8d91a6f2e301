"""Takes one webhook in: reads it, verifies it, publishes it, and says how it went."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from callbus import calls, keys, tracing
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from webhook_gateway import events, signatures
from webhook_gateway.answers import Refusal, unavailable
from webhook_gateway.metrics import Metrics
from webhook_gateway.settings import GatewaySettings
from webhook_gateway.strict_json import BadJson, read_object
from webhook_gateway.webhook_log import WebhookLog

if TYPE_CHECKING:
    from callbus.otlp import Span, Tracer

MAX_BODY_BYTES = 64 * 1024
MAX_DISCARDED_BYTES = 1024 * 1024
BODY_TIMEOUT_S = 5.0
LONGEST_AGO_S = keys.DEDUP_TTL_S - 3600.0
"""An event that happened before that has no effect: whether it was published before is not known any more, as most
signatures hold for ever. An hour of what is remembered is left for clocks that differ."""
STALE = "stale"
UNSIGNED_EVENT = "ivr_response_code"
PROBE = {"check": "signature"}
"""No event, but the question whether its own signature holds: `ringover-voicebot check` asks it. It changes nothing."""
_CLOSE = {"Connection": "close"}

log = structlog.get_logger(__name__)


class Intake:
    """The webhook endpoint."""

    def __init__(
        self,
        settings: GatewaySettings,
        broker: Broker,
        metrics: Metrics,
        webhooks: WebhookLog,
        tracer: Tracer | None = None,
    ) -> None:
        self._keys = settings.webhook_keys
        self._path_secret = settings.path_secret
        self._public_endpoint = settings.public_endpoint
        self._broker = broker
        self._metrics = metrics
        self._webhooks = webhooks
        self._tracer = tracer

    async def answer(self, request: Request, path_secret: str | None) -> JSONResponse:
        """Take the webhook in and answer: 202, or 200 for one that was published before or is too old, or a refusal."""
        began = time.perf_counter()
        refused_for = ""
        try:
            scheme, trusted = await self._trusted(request, path_secret)
            if trusted == PROBE:
                self._metrics.webhooks.labels("checked").inc()
                return JSONResponse({"status": "checked", "scheme": scheme})
            outcome, event = await self._take(trusted, began)
            status = 202 if outcome == "accepted" else 200
            response = JSONResponse({"status": outcome, "call_id": event.call_id or None}, status)
            if outcome == STALE:
                refused_for = f"the event is older than {LONGEST_AGO_S / 3600:.0f} h by this machine's clock"
        except Refusal as refusal:
            outcome, response, refused_for = refusal.outcome, refusal.response(), refusal.error
            log.warning("webhook refused", status=refusal.status, reason=refusal.error, peer=_peer(request))
        except Exception:
            self._metrics.webhooks.labels("error").inc()
            self._webhooks.note()
            raise
        self._metrics.webhooks.labels(outcome).inc()
        self._webhooks.note(refused_for)
        self._metrics.seconds.observe(time.perf_counter() - began)
        return response

    async def _trusted(self, request: Request, path_secret: str | None) -> tuple[str, dict[str, Any]]:
        """What it says, and what it is trusted for: v1, v3, hmac, path or none. Raises Refusal."""
        _expect_json(request)
        raw = await _body(request)
        try:
            return self._verified(request, raw, path_secret)
        except signatures.SignatureError as error:
            raise Refusal(
                401,
                "unauthorized",
                str(error),
                "sign with a key in RINGOVER_WEBHOOK_SECRET; the key stands in the Ringover dashboard",
            ) from error
        except BadJson as error:
            raise _unreadable(error) from error

    async def _take(self, trusted: dict[str, Any], began: float) -> tuple[str, events.WebhookEvent]:
        try:
            event = events.parse(trusted)
        except events.BadEvent as error:
            raise _unreadable(error) from error
        now = time.time()
        if event.happened_at is not None and now - event.happened_at > LONGEST_AGO_S:
            self._log(event, STALE)
            return STALE, event
        once, span = event.once(), self._span(event, began)
        if span:
            once["traceparent"] = span.traceparent
        try:
            with tracing.under(span), tracing.working("redis.publish"):
                published = await calls.publish_webhook(
                    self._broker,
                    event.lifecycle(now=now),
                    delivery=event.delivery,
                    state=event.state,
                    once=once,
                    latest=event.latest(),
                )
        except BusUnavailable as error:
            raise unavailable(error) from error
        finally:
            if span:
                span.end()
        outcome = "accepted" if published else "duplicate"
        if published:
            self._metrics.published(event)
        self._log(event, outcome)
        return outcome, event

    def _log(self, event: events.WebhookEvent, outcome: str) -> None:
        log.info(
            "webhook",
            outcome=outcome,
            kind=f"{event.resource}.{event.event}",
            call_id=event.call_id,
            channel_id=event.channel_id,
            attempt=event.attempt,
            from_number=event.from_number,
            to_number=event.to_number,
        )

    def _span(self, event: events.WebhookEvent, began: float) -> Span | None:
        """What is done about a call's event since `began` (by perf_counter), where calls are traced."""
        if self._tracer is None or not event.call_id:
            return None
        start = self._tracer.now() - (time.perf_counter() - began)
        return self._tracer.begin(f"webhook {event.resource}.{event.event}", event.call_id, start=start)

    def _verified(self, request: Request, raw: bytes, path_secret: str | None) -> tuple[str, dict[str, Any]]:
        if path_secret is not None and not self._is_path_secret(path_secret):
            raise signatures.SignatureError("the last part of the URL is not RINGOVER_WEBHOOK_PATH_SECRET")
        if not self._keys:
            return self._trusting("none", raw)
        try:
            verified = signatures.verify(request.headers, self._target(request), raw, keys=self._keys, now=time.time())
        except signatures.SignatureMissing:
            # Ringover doesn't sign these: who knows the secret path is trusted for them, and for nothing else.
            if path_secret is None or read_object(raw).get("event") != UNSIGNED_EVENT:
                raise
            return self._trusting("path", raw)
        return self._trusting(verified.scheme, raw, verified.claim)

    def _trusting(self, scheme: str, raw: bytes, claim: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        self._metrics.verified.labels(scheme).inc()
        return scheme, claim if claim is not None else read_object(raw)

    def _is_path_secret(self, given: str) -> bool:
        return self._path_secret is not None and signatures.same_secret(given, self._path_secret)

    def _target(self, request: Request) -> signatures.Target:
        if self._public_endpoint is None:
            return signatures.Target(request.method, str(request.url), is_public=False)
        path_secret = request.path_params.get("path_secret")
        url = self._public_endpoint + (f"/{path_secret}" if path_secret else "")
        query = request.url.query
        return signatures.Target(request.method, f"{url}?{query}" if query else url, is_public=True)


def _unreadable(error: Exception) -> Refusal:
    return Refusal(
        400,
        "bad_request",
        str(error),
        'expected {"resource", "event", "timestamp", "data"} or {"event_type", "call_id"} as a JSON object',
    )


def _expect_json(request: Request) -> None:
    given = request.headers.get("content-type")
    media_type = (given or "application/json").partition(";")[0].strip().lower()
    if media_type != "application/json" and not (
        media_type.startswith("application/") and media_type.endswith("+json")
    ):
        raise Refusal(
            415,
            "unsupported_type",
            f"content type {media_type[:80]!r} is not read",
            "send Content-Type: application/json",
        )


async def _body(request: Request) -> bytes:
    """The body as it was sent. Raises Refusal for one that is too large, too slow, or never ends."""
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                size += len(chunk)
                if size > MAX_BODY_BYTES:
                    # A client that is cut off while it writes would never read the answer, so a bounded rest of what
                    # it sends is thrown away first.
                    chunks.clear()
                    if size > MAX_DISCARDED_BYTES:
                        break
                else:
                    chunks.append(chunk)
    except TimeoutError as error:
        raise Refusal(
            408, "too_slow", f"the body did not come within {BODY_TIMEOUT_S:.0f} s", "send it again", _CLOSE
        ) from error
    except ClientDisconnect as error:
        raise Refusal(400, "aborted", "the body broke off", "send it again") from error
    if size > MAX_BODY_BYTES:
        raise Refusal(
            413,
            "too_large",
            f"the body is larger than {MAX_BODY_BYTES} bytes",
            "a webhook of Ringover's is a few kB",
            _CLOSE if size > MAX_DISCARDED_BYTES else None,
        )
    return b"".join(chunks)


def _peer(request: Request) -> str:
    return request.client.host if request.client else ""
