"""`python -m bench.scale`: this bench alone, with other numbers of calls, or under the sampling profiler."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import uvloop

from bench.scale.run import LEVELS, Plan, run
from devstack.stack import ROOT


def main() -> int:
    """Exit code 0 when every goal is reached, else 1."""
    parser = argparse.ArgumentParser(prog="bench.scale", description=__doc__)
    parser.add_argument("--levels", type=int, nargs="+", default=LEVELS, help="calls at a time; default: %(default)s")
    parser.add_argument("--workers", type=int, default=Plan().workers)
    parser.add_argument("--seconds", type=float, default=Plan().talking_s, help="of each measurement")
    parser.add_argument("--keep-going", action="store_true", help="also after a number of calls that was too many")
    parser.add_argument("--stt", default=Plan().stt, choices=["openai", "elevenlabs"], help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=ROOT / "out", help="folder of the results; default: out")
    parser.add_argument("--profile", type=Path, help="a folder: where the CPU of streamer and workers goes")
    options = parser.parse_args()
    plan = Plan(
        tuple(options.levels),
        workers=options.workers,
        talking_s=options.seconds,
        keep_going=options.keep_going,
        stt=options.stt,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        result = runner.run(run(plan, out=options.out, sampled=options.profile))
    sys.stdout.write("\n".join(result.lines()) + "\n")
    return 0 if result.passed else 1


if __name__ == "__main__":
    sys.exit(main())
