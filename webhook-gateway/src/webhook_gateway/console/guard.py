"""What every answer of the console carries: headers that bind the browser, and the time of its last sign of life."""

from __future__ import annotations

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webhook_gateway.answers import Refusal
from webhook_gateway.deadlines import SENT_AT

MAX_BODY_BYTES = 16 * 1024
MAX_DISCARDED_BYTES = 1024 * 1024
_API = "/console/api/"
_CLOSE = {"Connection": "close"}


class Guard:
    """ASGI middleware around everything under `/console`. `phone` is the source (CSP) that the softphone connects to.

    A stream of events, and a recording on its way through a slow line, take as long as they take: see DeadlineProtocol.
    """

    def __init__(self, app: ASGIApp, *, phone: str) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": (
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
                f"media-src 'self' blob:; worker-src 'self'; connect-src 'self' {phone}; form-action 'self'; "
                "base-uri 'none'; frame-ancestors 'none'"
            ),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == "/console" or path.startswith("/console/")):
            await self._app(scope, receive, send)
            return
        is_api = path.startswith(_API)
        refusal = _too_much(Headers(scope=scope)) if scope["method"] not in ("GET", "HEAD") else None

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                # The shipped files change with a release: asked for again each time, and mostly not sent again.
                headers["Cache-Control"] = "no-store" if is_api else "no-cache"
            await send(message)
            scope[SENT_AT] = time.monotonic()

        if refusal is None:
            await self._app(scope, receive, guarded)
        else:
            await _discard(receive)
            await refusal.response()(scope, receive, guarded)


async def _discard(receive: Receive) -> None:
    """A client that is cut off while it writes would never read the answer: a bounded part is thrown away first."""
    size, more = 0, True
    while more and size < MAX_DISCARDED_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)


def _too_much(headers: Headers) -> Refusal | None:
    """A body is read before it is known who sends it: only little of it, of a length that is told."""
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not (length.isascii() and length.isdigit()):
        return Refusal(411, "no_length", "the body's length is not told", "send Content-Length", _CLOSE)
    if int(length) > MAX_BODY_BYTES:
        return Refusal(413, "too_large", f"the body is larger than {MAX_BODY_BYTES} bytes", "send less", _CLOSE)
    return None
