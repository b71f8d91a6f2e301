"""What can keep a bench from measuring."""

from __future__ import annotations


class BenchError(Exception):
    """There is no figure: what was wrong, and where to look."""
