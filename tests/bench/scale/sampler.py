"""Where a service's CPU goes, for machines without py-spy: `python -m bench.scale.sampler OUT COMMAND` runs a console
command of this environment and looks at its main thread after every 2 ms of CPU that the process has used.

At the end OUT holds the share of the samples by function (its own code and the C code that it calls), by function with
all that it calls, and by line. A handler runs between two of Python's instructions: a C function's time is that of the
line that called it, and what other threads use that of the line at which the main one waits (`perf record -g -p PID`
tells those apart). SIGUSR2 forgets what was counted: the start of a service is not what is asked about.
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from importlib.metadata import entry_points
from pathlib import Path
from types import CodeType, FrameType

EVERY_S = 0.002
SHOWN = 120


class Sampler:
    """Counts where the main thread is; `report` tells."""

    def __init__(self) -> None:
        self._own: Counter[CodeType] = Counter()
        self._lines: Counter[tuple[CodeType, int]] = Counter()
        self._with_callees: Counter[CodeType] = Counter()

    def sample(self, _number: int, frame: FrameType | None) -> None:
        """A signal handler."""
        if frame is None:
            return
        self._own[frame.f_code] += 1
        self._lines[frame.f_code, frame.f_lineno] += 1
        on_the_stack = set[CodeType]()
        above: FrameType | None = frame
        while above is not None:
            on_the_stack.add(above.f_code)
            above = above.f_back
        self._with_callees.update(on_the_stack)

    def forget(self, _number: int, _frame: FrameType | None) -> None:
        """A signal handler."""
        for counted in (self._own, self._lines, self._with_callees):
            counted.clear()

    def report(self) -> str:
        total = max(1, self._own.total())

        def table(title: str, entries: list[tuple[str, int]]) -> list[str]:
            return [title, *(f"{100 * count / total:6.1f} %  {what}" for what, count in entries), ""]

        def shown(counted: Counter[CodeType]) -> list[tuple[str, int]]:
            return [(_name(code), count) for code, count in counted.most_common(SHOWN)]

        lines = [(f"{_name(code)}, line {line}", count) for (code, line), count in self._lines.most_common(SHOWN)]
        parts = [
            [f"{total} samples, one each {1000 * EVERY_S:.0f} ms of CPU", ""],
            table("by function, its own code and C code", shown(self._own)),
            table("by function, with all that it calls", shown(self._with_callees)),
            table("by line", lines),
        ]
        return "\n".join(line for part in parts for line in part)


def _name(code: CodeType) -> str:
    return f"{'/'.join(Path(code.co_filename).parts[-2:])} {code.co_qualname}"


def main() -> None:
    """Run the command; write the report when it ends."""
    out, command = Path(sys.argv[1]), sys.argv[2:]
    sys.argv = command
    (entry,) = entry_points(group="console_scripts", name=Path(command[0]).name)
    run = entry.load()
    sampler = Sampler()
    signal.signal(signal.SIGPROF, sampler.sample)
    signal.signal(signal.SIGUSR2, sampler.forget)
    signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)
    try:
        run()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(sampler.report(), encoding="utf-8")


if __name__ == "__main__":
    main()
