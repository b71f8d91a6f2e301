"""HTTP answers as they go on the wire."""

from __future__ import annotations

import pytest

from streamer.pages import Page, json_page, plain


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (
            plain(405, "expected GET"),
            "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\nContent-Length: 13\r\n"
            "Content-Type: text/plain; charset=utf-8\r\n\r\nexpected GET\n",
        ),
        (
            json_page(200, {"name": "é"}),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 18\r\n"
            'Content-Type: application/json\r\n\r\n{"name": "\\u00e9"}',
        ),
        (
            plain(401, "no"),
            "HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 3\r\n"
            "Content-Type: text/plain; charset=utf-8\r\nWWW-Authenticate: Bearer\r\n\r\nno\n",
        ),
        (
            Page(503, "application/json", b"{}"),
            "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 2\r\n"
            "Content-Type: application/json\r\nRetry-After: 2\r\n\r\n{}",
        ),
    ],
    ids=["text", "json", "no token", "no place"],
)
def test_a_page_on_the_wire(page: Page, expected: str) -> None:
    assert page.response().serialize().decode() == expected
