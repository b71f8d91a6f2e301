"""An HTTP server on a thread of its own: takes webhooks (and can fail first), and serves files."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Posted:
    """One POST: its path, its headers by lower-case name, its raw body."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class HttpPeer:
    """`statuses` are answered one after another, then 202."""

    url: str
    statuses: list[int] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    posted: list[Posted] = field(default_factory=list)


@contextmanager
def http_peer() -> Iterator[HttpPeer]:
    """A server on a free port of this machine."""
    peer = HttpPeer("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            peer.posted.append(Posted(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self._answer(peer.statuses.pop(0) if peer.statuses else 202, b"{}")

        def do_GET(self) -> None:
            file = peer.files.get(self.path)
            self._answer(404 if file is None else 200, file or b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        peer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield peer
        finally:
            server.shutdown()
            thread.join()
