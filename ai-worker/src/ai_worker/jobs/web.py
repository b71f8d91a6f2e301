"""`/metrics` and `/health` of ai-jobs, from a thread: they answer whatever the jobs do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

_SILENT_S = 5.0
"""A client that says nothing for so long is left."""


@contextmanager
def serving(host: str, port: int, registry: CollectorRegistry, ready: Callable[[], bool]) -> Iterator[int]:
    """Serve for the length of a block; the port, which is a free one for 0. Raises OSError when it is taken.

    `/health` answers 200 and `{"status": "ok"}`, or 503 and `{"status": "down"}` while it is not `ready`.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _SILENT_S

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/metrics":
                    self._answer(200, CONTENT_TYPE_LATEST, generate_latest(registry))
                case "/health":
                    fine = ready()
                    body = json.dumps({"status": "ok" if fine else "down"}).encode()
                    self._answer(200 if fine else 503, "application/json", body)
                case _:
                    self._answer(404, "text/plain; charset=utf-8", b"here are /metrics and /health\n")

        def log_message(self, format: str, *args: object) -> None:
            """Scrapes are no news."""

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
