"""An OpenTelemetry collector for traces over OTLP/HTTP: takes what is exported, and keeps it as plain spans."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, slots=True)
class Taken:
    """One span; times in ns."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    failed: bool
    attributes: dict[str, Any] = field(hash=False)
    links: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.service}: {self.name} {self.trace[:4]}/{self.id[:4]}<{self.parent[:4]} {self.attributes}"


class Collector:
    """Listens on 127.0.0.1 while entered; `answers` False: it takes connections, and never answers."""

    def __init__(self, *, answers: bool = True) -> None:
        self.spans: list[Taken] = []
        self.requests = 0
        self._answers = answers
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        """For OTEL_EXPORTER_OTLP_ENDPOINT."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def named(self, name: str, **attributes: Any) -> list[Taken]:
        """The spans of a name, in the order of their beginnings."""
        found = [span for span in self.spans if span.name == name and attributes.items() <= span.attributes.items()]
        return sorted(found, key=lambda span: span.start)

    def trace(self, trace: str) -> list[Taken]:
        """All spans of a trace, in the order of their beginnings."""
        return sorted((span for span in self.spans if span.trace == trace), key=lambda span: span.start)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open.values():
            writer.transport.abort()
        if self._open:
            await asyncio.wait(list(self._open))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    await self._answer(reader, writer)
        finally:
            writer.close()
            del self._open[task]

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *lines = head.rstrip("\r\n").split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(fields["content-length"]))
        self.requests += 1
        assert request.startswith("POST /v1/traces "), request
        assert fields["content-type"] == "application/x-protobuf"
        if fields.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.spans += _spans(ExportTraceServiceRequest.FromString(body))
        if not self._answers:
            await reader.read()
            return
        answer = ExportTraceServiceResponse().SerializeToString()
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: %d\r\n\r\n%b"
            % (len(answer), answer)
        )
        await writer.drain()


def _spans(request: ExportTraceServiceRequest) -> list[Taken]:
    found = []
    for of_resource in request.resource_spans:
        service = _plain(of_resource.resource.attributes)["service.name"]
        for of_scope in of_resource.scope_spans:
            found += [
                Taken(
                    service=service,
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    failed=span.status.code == span.status.STATUS_CODE_ERROR,
                    attributes=_plain(span.attributes),
                    links=tuple(link.trace_id.hex() for link in span.links),
                )
                for span in of_scope.spans
            ]
    return found


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
