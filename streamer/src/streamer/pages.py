"""What the streamer's port answers over plain HTTP: a page, or why there is none."""

from __future__ import annotations

import http
import json
from dataclasses import dataclass
from typing import Any

from websockets.datastructures import Headers
from websockets.http11 import Response

RETRY_AFTER_S = 2


@dataclass(frozen=True, slots=True)
class Page:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes

    def response(self) -> Response:
        """The same for the wire. The connection ends with it; who has no token, or no place, is told what to do."""
        status = http.HTTPStatus(self.status)
        headers = Headers(
            [("Connection", "close"), ("Content-Length", str(len(self.body))), ("Content-Type", self.content_type)]
        )
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        elif status == 503:
            headers["Retry-After"] = str(RETRY_AFTER_S)
        return Response(status.value, status.phrase, headers, self.body)


def plain(status: int, text: str) -> Page:
    """A line of text."""
    return Page(status, "text/plain; charset=utf-8", f"{text}\n".encode())


def json_page(status: int, values: dict[str, Any]) -> Page:
    """Values by name."""
    return Page(status, "application/json", json.dumps(values).encode())
