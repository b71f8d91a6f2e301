"""`python -m bench [overhead|barge-in|chaos|moments|scale|all]`: exit code 0 when every goal is reached, else 1."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

import uvloop

from bench import barge_in, chaos, moments, overhead, scale
from bench.errors import BenchError
from bench.goals import Result, machine

OUT = Path(__file__).resolve().parents[2] / "out" / "bench"


class Outcome(Protocol):
    """What a bench gives back."""

    @property
    def passed(self) -> bool: ...

    def lines(self) -> list[str]: ...


BENCHES: dict[str, Callable[[int], Coroutine[Any, Any, Outcome]]] = {
    "overhead": lambda seed: overhead.run(seed=seed),
    "barge-in": lambda seed: barge_in.run(seed=seed),
    "chaos": lambda seed: chaos.run(seed=seed),
    "moments": lambda _: moments.run(),
    "scale": lambda seed: scale.run(seed=seed),
}


def main() -> int:
    """Run what was asked for, one bench after the other; each leaves <name>.json in the folder of the results."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("which", nargs="?", default="all", choices=[*BENCHES, "all"])
    parser.add_argument("--seed", type=int, default=1, help="of latencies, faults and moments; default: %(default)s")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the results; default: out/bench")
    options = parser.parse_args()
    verdicts: dict[str, str] = {}
    for name in BENCHES if options.which == "all" else [options.which]:
        before, began = machine(), time.monotonic()
        _say(f"==== {name}: {before['cores']} cores, {before['cpu']}, load {before['load_before']}")
        try:
            # The callers and the providers are in this process: its own slowness would be measured as the system's.
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                result = runner.run(BENCHES[name](options.seed))
        except BenchError as error:
            verdicts[name] = "FAILED"
            _say(str(error), "")
            continue
        verdicts[name] = "PASS" if result.passed else "MISSED"
        took = time.monotonic() - began
        _save(options.out, name, result, {"machine": before, "seed": options.seed, "took_s": round(took, 1)})
        _say(*result.lines(), f"{verdicts[name]}: {name}, {took:.0f} s", "")
    if len(verdicts) > 1:
        _say(*(f"{verdict:<6}  {name}" for name, verdict in verdicts.items()))
    return 0 if set(verdicts.values()) == {"PASS"} else 1


def _save(folder: Path, name: str, result: Outcome, about: dict[str, Any]) -> None:
    figures = result.figures() if isinstance(result, Result) else {"lines": result.lines()}
    folder.mkdir(parents=True, exist_ok=True)
    content = json.dumps({**about, "passed": result.passed, **figures}, indent=2)
    (folder / f"{name}.json").write_text(content + "\n", encoding="utf-8")


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
