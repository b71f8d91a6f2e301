"""The set of scripted moments that judges turn-taking: its generator, its runs over the real system, its scorer."""

from bench.moments.result import MomentsResult
from bench.moments.run import run

__all__ = ["MomentsResult", "run"]
