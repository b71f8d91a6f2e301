"""`python -m bench.moments`: runs the set, or a part of it, and prints the figures."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from bench.moments.run import JOBS, run
from bench.moments.the_set import MOMENTS


def main() -> None:
    """Exits with 1 when a figure is outside its limit."""
    parser = argparse.ArgumentParser(prog="bench.moments", description=__doc__)
    parser.add_argument("--only", default="", help="part of a moment's name or class")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"calls side by side (default {JOBS})")
    parser.add_argument("--keep", type=Path, help="a folder for the services' logs (default: they are thrown away)")
    options = parser.parse_args()
    chosen = [moment for moment in MOMENTS if options.only in moment.name or options.only in moment.kind]
    if not chosen:
        parser.error(f"no moment has {options.only!r} in its name or class")
    result = asyncio.run(run(options.jobs, chosen, options.keep))
    sys.stdout.write("\n".join(result.lines()) + "\n")
    sys.exit(not result.passed)


if __name__ == "__main__":
    main()
