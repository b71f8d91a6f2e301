"""What the services say of their work to whoever traces calls; all of it costs next to nothing while nobody does.

The SDK is behind callbus.otlp, which is imported when traces are on.
"""

from __future__ import annotations

import contextvars
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from dotenv import dotenv_values

if TYPE_CHECKING:
    from callbus.otlp import Span, Tracer

Attributes: TypeAlias = Mapping[str, str | int | float | bool]

_current: contextvars.ContextVar[Span | None] = contextvars.ContextVar("span", default=None)


def tracer(service: str, endpoint: str | None) -> Tracer | None:
    """Sends traces by the SDK's own settings (`OTEL_…`, from the environment or `.env`). None: they are off."""
    if endpoint is None:
        return None
    for name, value in dotenv_values(".env").items():
        if name.startswith("OTEL_") and value:
            os.environ.setdefault(name, value)
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    from callbus.otlp import Tracer

    return Tracer(service)


def current() -> Span | None:
    """What this task works on; None: it is not traced."""
    return _current.get()


def enter(span: Span) -> None:
    """Whatever runs in this context from now on works on `span`."""
    _current.set(span)


@contextmanager
def under(span: Span | None) -> Iterator[None]:
    """The block works on `span`, with all tasks that it starts. Not for async generators: another task may end them."""
    token = _current.set(span)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def working(name: str, attributes: Attributes | None = None) -> Iterator[Span | None]:
    """The block is a span of its own, below the current one: see `under`. An exception ends it as failed."""
    parent = _current.get()
    if parent is None:
        yield None
        return
    span = parent.child(name, attributes)
    token = _current.set(span)
    try:
        yield span
    except BaseException as error:
        span.failed(error)
        raise
    finally:
        _current.reset(token)
        span.end()
