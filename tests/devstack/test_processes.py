"""A managed process: its log, its end, its children, and its end with the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from devstack.processes import ManagedProcess

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
print("child", child.pid, flush=True)
time.sleep(100)
"""
LEAVES_A_CHILD = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
print("child", child.pid, flush=True)
"""

Make = Callable[..., ManagedProcess]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[ManagedProcess] = []

    def make(code: str, on_line: Callable[[str, str], None] | None = None) -> ManagedProcess:
        argv = [sys.executable, "-c", code]
        log = tmp_path / "logs" / "it.log"
        made.append(ManagedProcess("it", argv, env=dict(os.environ), cwd=tmp_path, log=log, on_line=on_line))
        return made[-1]

    yield make
    for process in made:
        await process.stop(0)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"not within 10 s: {what}"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; one that is dead and not yet buried by its parent does not."""
    try:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout
    except subprocess.CalledProcessError:
        return False
    return not state.startswith("Z")


def child_of(process: ManagedProcess) -> int:
    wait_until(lambda: "child " in process.tail(), "the child's pid in the log")
    return int(process.tail().split()[1])


async def test_it_runs_and_its_end_is_seen(make: Make) -> None:
    process = make("import sys; print('said'); print('complained', file=sys.stderr); sys.exit(3)")
    process.start()
    assert await process.wait(10)
    assert not process.running
    assert process.exit_code == 3
    assert sorted(process.tail().splitlines()) == ["complained", "said"]


async def test_lines_are_given_as_they_come_and_logged(make: Make) -> None:
    lines: list[tuple[str, str]] = []
    process = make("print('one'); print('two')", lambda name, line: lines.append((name, line)))
    process.start()
    await process.wait(10)
    await process.stop(1)
    assert lines == [("it", "one"), ("it", "two")]
    assert process.tail() == "one\ntwo"


async def test_a_second_start_continues_the_log(make: Make) -> None:
    process = make("print('here')")
    for _ in range(2):
        process.start()
        await process.wait(10)
    assert process.tail() == "here\nhere"


async def test_a_polite_process_is_not_killed(make: Make) -> None:
    process = make("import time; print('child', 0, flush=True); time.sleep(100)")
    process.start()
    child_of(process)
    assert await process.stop(10)
    assert process.exit_code == -signal.SIGTERM


async def test_a_stubborn_process_and_its_child_are_killed_after_the_grace(make: Make) -> None:
    process = make(STUBBORN)
    process.start()
    child = child_of(process)
    assert not await process.stop(0.1)
    assert process.exit_code == -signal.SIGKILL
    wait_until(lambda: not alive(child), "the child is gone")


async def test_a_child_that_was_left_behind_is_killed(make: Make) -> None:
    process = make(LEAVES_A_CHILD)
    process.start()
    child = child_of(process)
    assert await process.wait(10)
    assert alive(child)
    assert await process.stop(1)
    wait_until(lambda: not alive(child), "the child is gone")


async def test_stop_may_be_called_again_and_before_a_start(make: Make) -> None:
    process = make("pass")
    assert await process.stop(1)
    process.start()
    await process.wait(10)
    assert await process.stop(1)
    assert await process.stop(1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_it_ends_when_the_one_that_started_it_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys, time\nfrom pathlib import Path\nfrom devstack.processes import ManagedProcess\n"
            "argv = [sys.executable, '-c', 'import time; time.sleep(100)']\n"
            "it = ManagedProcess('it', argv, env=dict(os.environ), cwd=Path.cwd(), log=Path('it.log'))\n"
            "it.start()\nprint(it.pid, flush=True)\ntime.sleep(100)\n",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        pid = int(parent.stdout.readline())
        try:
            assert alive(pid)
            parent.kill()
            wait_until(lambda: not alive(pid), "the orphan is gone")
        finally:
            parent.kill()
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
