"""`python -m faults [row …] [--calls 20]`: does faults to a running system; exit code 1 when something did not hold."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import uvloop

from bench.errors import BenchError
from bench.goals import Result
from devstack.errors import StackError
from faults import leaks, media_side, nobody, webhooks
from faults.rows import ROWS, run

OF_THEIR_OWN: dict[str, Callable[..., Coroutine[Any, Any, Result]]] = {
    "nobody": nobody.run,
    "media-side": media_side.run,
    "webhooks": webhooks.run,
    "leaks": leaks.run,
}
"""Rows that bring their own calls, or none."""


def main() -> int:
    """One line a row, a table for those with goals of their own."""
    known = [*ROWS, *OF_THEIR_OWN]
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="row", help=f"of {', '.join(known)}; default: all")
    parser.add_argument("--calls", type=int, default=20, help="live calls; default: %(default)s")
    parser.add_argument("--work", type=Path, help="folder in which the logs stay; default: they are gone at the end")
    options = parser.parse_args()
    if unknown := set(options.rows) - set(known):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    held = True
    for name in options.rows or known:
        work = options.work / name if options.work else None
        # The callers and the providers are in this process: its own slowness would be measured as the system's.
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                passed, line = runner.run(_row(name, options.calls, work))
            except (AssertionError, BenchError, StackError, TimeoutError) as error:
                passed, line = False, f"BROKEN  {name}: {type(error).__name__}: {error}"
        held = held and passed
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    return 0 if held else 1


async def _row(name: str, calls: int, work: Path | None) -> tuple[bool, str]:
    if name in ROWS:
        verdict = await run(name, calls, work=work)
        return verdict.held, verdict.line
    result = await OF_THEIR_OWN[name](work=work)
    verdict_line = f"{'HELD  ' if result.passed else 'BROKEN'}  {name}"
    return result.passed, "\n".join([verdict_line, *(f"        {line}" for line in result.lines())])


if __name__ == "__main__":
    sys.exit(main())
