"""Spans by the OpenTelemetry SDK, sent over OTLP/HTTP from a thread of their own. Imported when traces are on.

All times are s of Redis' clock, the one that all machines of a cell can see; so spans of two services compare.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Mapping

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from callbus import registry
from callbus.busclock import BusClock
from callbus.tracing import Attributes

CALL_ID = "call.id"
FLUSH_S = 2.0
SAY_EVERY_S = 60.0
_PARENT, _SENT_AT = b"tp", b"ts"
_W3C = TraceContextTextMapPropagator()


class Tracer:
    """One service's spans. `clock` is asked for Redis' time as soon as there is one.

    What the collector does not take is thrown away: at most OTEL_BSP_MAX_QUEUE_SIZE spans wait (2048), and nobody waits
    for them.
    """

    def __init__(self, service: str) -> None:
        self.clock: BusClock | None = None
        self._offset = time.time() - time.monotonic()
        identity = {"service.name": service, "service.instance.id": registry.new_service_id()}
        # Ended by `aclose`: the SDK's own hook at the exit would hold the process for half a minute.
        self._provider = TracerProvider(resource=Resource.create(identity), shutdown_on_exit=False)
        self._exporter = OTLPSpanExporter()
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._sdk = self._provider.get_tracer("ringover-voicebot")
        _say_less()

    def now(self) -> float:
        """Redis' time, as far as it is known; this machine's before."""
        ahead = self.clock.ahead if self.clock else None
        return time.monotonic() + (self._offset if ahead is None else ahead)

    def begin(
        self,
        name: str,
        call_id: str,
        attributes: Attributes | None = None,
        *,
        start: float | None = None,
        follows: str = "",
    ) -> Span:
        """The first span of a trace. `follows` is the traceparent of another trace that led to it."""
        links = [trace.Link(trace.get_current_span(_context(follows)).get_span_context())] if follows else []
        return self._started(name, Context(), call_id, attributes, start or self.now(), links)

    def joined(self, traceparent: str, call_id: str, *, since: float = 0.0) -> Span:
        """Another service's span, to work below it; nothing of that began before `since`."""
        return Span(self, trace.get_current_span(_context(traceparent)), call_id, since)

    def carried(self, entry: Mapping[bytes, bytes], call_id: str) -> Span | None:
        """The sender's span, with its message's way through Redis noted below it; None: it sent none along."""
        if (parent := entry.get(_PARENT)) is None:
            return None
        arrived = self.now()
        try:
            sent_at = float(entry.get(_SENT_AT, arrived))
        except ValueError:
            sent_at = arrived
        span = self.joined(parent.decode("ascii", "replace"), call_id, since=sent_at)
        span.add("redis.out", start=sent_at, end=arrived)
        return span

    async def aclose(self) -> None:
        """Send what waits, for 2 s at most."""
        loop = asyncio.get_running_loop()
        sent = loop.create_future()

        def send() -> None:
            self._provider.shutdown()
            # The loop may have gone on without this, and be over.
            if not loop.is_closed():
                loop.call_soon_threadsafe(lambda: None if sent.done() else sent.set_result(None))

        threading.Thread(target=send, name="last spans", daemon=True).start()
        await asyncio.wait([sent], timeout=FLUSH_S)
        if not sent.done():
            # Nothing is tried again; what is under way may end with the process.
            sent.cancel()
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the SDK says nothing of what it returns

    def _started(
        self,
        name: str,
        context: Context,
        call_id: str,
        attributes: Attributes | None,
        start: float,
        links: list[trace.Link] | None = None,
    ) -> Span:
        own = {CALL_ID: call_id, **(attributes or {})}
        span = self._sdk.start_span(name, context, attributes=own, links=links, start_time=_ns(start))
        return Span(self, span, call_id, start)


class Span:
    """A piece of work on a call. It never ends before it begins, and its children don't begin before it."""

    __slots__ = ("_sdk", "_tracer", "call_id", "start")

    def __init__(self, tracer: Tracer, sdk: trace.Span, call_id: str, start: float) -> None:
        self._tracer = tracer
        self._sdk = sdk
        self.call_id = call_id
        self.start = start

    def now(self) -> float:
        """See Tracer.now."""
        return self._tracer.now()

    @property
    def traceparent(self) -> str:
        """The span's name for other services, as W3C Trace Context writes it."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(self._sdk, Context()))
        return carrier.get("traceparent", "")

    def carry(self) -> dict[bytes, bytes]:
        """Fields for a stream entry that is sent now: see Tracer.carried."""
        return {_PARENT: self.traceparent.encode(), _SENT_AT: b"%.6f" % self.now()}

    def child(self, name: str, attributes: Attributes | None = None, *, start: float | None = None) -> Span:
        """A part of this work that begins now, or began at `start`."""
        context = trace.set_span_in_context(self._sdk, Context())
        begins = max(self.start, self.now() if start is None else start)
        return self._tracer._started(name, context, self.call_id, attributes, begins)

    def add(self, name: str, attributes: Attributes | None = None, *, start: float, end: float) -> None:
        """A part of this work that is over."""
        self.child(name, attributes, start=start).end(end)

    def set(self, attributes: Attributes) -> None:
        """Say more of it. Never what was said, nor a phone number."""
        self._sdk.set_attributes(attributes)

    def failed(self, error: BaseException) -> None:
        """It went wrong; of the error only the kind is told: its words may quote the caller's."""
        cancelled = isinstance(error, asyncio.CancelledError | GeneratorExit)
        self._sdk.set_attributes({"cancelled": True} if cancelled else {"error.type": type(error).__name__})
        if not cancelled:
            self._sdk.set_status(trace.StatusCode.ERROR)

    def end(self, at: float | None = None) -> None:
        """It is over now, or was at `at`."""
        self._sdk.end(_ns(max(self.start, self.now() if at is None else at)))


class _Seldom(logging.Filter):
    """A collector that is away is worth a line a minute, not one for each batch and attempt."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002 - logging.Filter's
        if time.monotonic() - self._said_at < SAY_EVERY_S:
            return False
        self._said_at = time.monotonic()
        return True


def _say_less() -> None:
    seldom = _Seldom()
    for name in ("opentelemetry.exporter.otlp.proto.http.trace_exporter", "opentelemetry.sdk._shared_internal"):
        logging.getLogger(name).addFilter(seldom)


def _context(traceparent: str) -> Context:
    return _W3C.extract({"traceparent": traceparent}, Context())


def _ns(seconds: float) -> int:
    return int(seconds * 1e9)
