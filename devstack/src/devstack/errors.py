"""Everything that can go wrong with a stack of processes.

StackError
├── PortTaken          a port that was asked for is in use
├── ServiceDied        a process ended that should be running
└── ServiceNotReady    a process runs, but is not ready in time
"""

from __future__ import annotations


class StackError(Exception):
    """Base of all errors of the local stack; the message says what to do, and carries the last lines of the log."""


class PortTaken(StackError):
    """A port that was asked for is in use."""


class ServiceDied(StackError):
    """A process ended that should be running."""


class ServiceNotReady(StackError):
    """A process runs, but is not ready in time."""
