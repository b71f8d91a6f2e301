"""Ports on this machine: a free one, and whether a wanted one is free."""

from __future__ import annotations

import socket
import sys

from devstack.errors import PortTaken


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(port: int, what: str, how: str) -> None:
    """Raises PortTaken, saying `how` to choose another port, when something listens on `port`."""
    for address in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as probe:
            if sys.platform != "win32":
                # A port whose connections linger in TIME_WAIT is free to listen on.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                raise PortTaken(
                    f"port {port}, wanted for {what}, is taken ({error.strerror}): "
                    f"stop what listens there, or choose another port with {how}"
                ) from error
