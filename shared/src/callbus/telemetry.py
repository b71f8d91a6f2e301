"""Logs that carry the call's id on every line, and no phone number: JSON for machines, readable on a terminal."""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from callbus.masking import mask_event, mask_number, mask_text

__all__ = ["mask_number", "setup_logging"]


def setup_logging(service: str, *, level: str, format: Literal["auto", "json", "console"]) -> None:
    """Send the logs of structlog and of the standard library to stderr, one line each."""
    readable = format == "console" or (format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(service),
    ]
    renderer: structlog.typing.Processor
    if readable:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_masked_traceback)
    else:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    # The last one: a traceback is a text by now.
    shared.append(mask_event)
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


def _masked_traceback(out: TextIO, exc_info: ExcInfo) -> None:
    # Not structlog's own choice: where rich is installed, it shows every local variable, and so keys and numbers.
    out.write("\n" + mask_text("".join(traceback.format_exception(*exc_info)).rstrip("\n")))


def _named(service: str) -> structlog.typing.Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add
