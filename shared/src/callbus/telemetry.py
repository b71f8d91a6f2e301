"""Logs that carry the call's id on every line, and no phone number unless asked to: JSON for machines, readable on a
terminal."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from callbus.masking import EventMask, mask_text


def setup_logging(
    service: str,
    *,
    level: str,
    format: Literal["auto", "json", "console"],
    numbers: Literal["masked", "plain"] = "masked",
) -> None:
    """Send the logs of structlog and of the standard library to stderr, one line each. Secrets are cut out of them, and
    phone `numbers` masked or not.
    """
    masked = numbers == "masked"
    readable = format == "console" or (format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _asked,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(service),
    ]
    renderer: structlog.typing.Processor
    if readable:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback(masked))
    else:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    # The last one: a traceback is a text by now.
    shared.append(EventMask(numbers=masked))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Their informational lines are about single requests, and would drown ours.
    for noisy in ("httpx", "httpx2", "httpcore", "uvicorn.access", "websockets", "arq.jobs", "faster_whisper"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _traceback(masked: bool) -> Callable[[TextIO, ExcInfo], None]:
    # Not structlog's own choice: where rich is installed, it shows every local variable, and so keys and numbers.
    def write(out: TextIO, exc_info: ExcInfo) -> None:
        out.write("\n" + mask_text("".join(traceback.format_exception(*exc_info)).rstrip("\n"), numbers=masked))

    return write


def _asked(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # A call's turn goes on while its tasks live: it is bound as a function, and asked for when a line is written.
    if callable(turn := event.get("turn")):
        event["turn"] = turn()
    return event


def _named(service: str) -> structlog.typing.Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add
