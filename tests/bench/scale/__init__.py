"""Cost and capacity: see `run`."""

from bench.scale.run import Plan, run

__all__ = ["Plan", "run"]
