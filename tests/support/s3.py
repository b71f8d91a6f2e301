"""An S3 server on a port of this machine, which can be stopped and started again with what it holds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import httpx
import pytest
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from callbus.bucket import Bucket
from callbus.bucket_settings import BucketSettings

BUCKET, PREFIX = "calls", "bots/paris"
KEYS = {"AWS_ACCESS_KEY_ID": "a-key-id", "AWS_SECRET_ACCESS_KEY": "a-secret-key"}
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class S3Server:
    """`asked` are the requests so far, as (method, path); `url` stays the same when it is started again."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.running = False
        self.start()
        self.port = self._server.get_host_and_port()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        """For a service's environment."""
        return {
            "CALLS_BUCKET": f"s3://{BUCKET}/{PREFIX}",
            "CALLS_BUCKET_ENDPOINT": self.url,
            **KEYS,
        }

    def bucket(self, *, timeout_s: float = 5.0, **changes: str) -> Bucket:
        settings = {name.lower(): value for name, value in {**self.settings, **changes}.items()}
        made = Bucket.of(BucketSettings.model_validate(settings), timeout_s=timeout_s)
        assert made
        return made

    def start(self) -> None:
        if not self.running:
            self._server.start()
            served: Any = self._server._server
            served.app = self._noting(served.app)
            self.running = True

    def stop(self) -> None:
        """What connects is refused from now on."""
        if self.running:
            _, port = self._server.get_host_and_port()
            self._server.stop()
            self._server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
            self.running = False

    def count(self, method: str, ending: str) -> int:
        return sum(1 for asked, path in self.asked if asked == method and path.endswith(ending))

    async def files(self) -> dict[str, bytes]:
        """What it holds, by the name behind the prefix."""
        store = S3Store(
            BUCKET,
            endpoint=self.url,
            access_key_id="another-key-id",
            secret_access_key="another-secret-key",
            client_options={"allow_http": True},
        )
        found = {}
        for meta in await store.list(PREFIX).collect_async():
            got = await store.get_async(meta["path"])
            found[meta["path"].removeprefix(f"{PREFIX}/")] = bytes(await got.bytes_async())
        return found

    def empty(self) -> None:
        self.start()
        httpx.post(f"{self.url}/moto-api/reset").raise_for_status()
        httpx.put(f"{self.url}/{BUCKET}").raise_for_status()
        self.asked.clear()

    def _noting(self, app: Wsgi) -> Wsgi:
        def noted(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            self.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
            return app(environ, start_response)

        return noted


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """One for the whole run."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = S3Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: S3Server) -> S3Server:
    """It runs, and its bucket is empty."""
    s3_server.empty()
    return s3_server
