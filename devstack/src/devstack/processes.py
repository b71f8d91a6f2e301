"""One service as a real process: its log, its signals, and the certainty that nothing of it stays behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_S = 0.02
TAIL_LINES = 25


class ManagedProcess:
    """A process in a group of its own, so that a Ctrl-C in the terminal reaches it only through `stop`.

    When this process dies without stopping it, it gets the signal `orphaned` (on Linux; elsewhere nothing). Its output
    goes to `log`; with `on_line`, each line is also given to it, from a thread of its own. Not bound to an event loop:
    a fixture may start it in one and a test wait for it in another.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        on_line: Callable[[str, str], None] | None = None,
        orphaned: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.name = name
        self.log = log
        self._argv, self._env, self._cwd, self._on_line = [*_tether(orphaned), *argv], dict(env), cwd, on_line
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended: negative for a signal; None while it runs."""
        return self._process.poll() if self._process is not None else None

    def start(self) -> None:
        """Start it, for the first time or again; the log is continued."""
        assert not self.running, f"{self.name} runs already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=self._env,
                cwd=self._cwd,
                stdin=subprocess.DEVNULL,
                stdout=log if self._on_line is None else subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if self._on_line is not None:
            self._reader = threading.Thread(target=self._read, name=f"log of {self.name}", daemon=True)
            self._reader.start()

    def send(self, number: signal.Signals) -> None:
        """Signal the process and its children; nothing happens when they are gone."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # macOS answers EPERM for a group of which only zombies are left.
            if self.running:
                raise

    async def wait(self, timeout: float) -> bool:
        """Whether it has ended, waiting up to `timeout` s."""
        deadline = time.monotonic() + timeout
        while self.running:
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    async def stop(self, grace: float) -> bool:
        """SIGTERM, and SIGKILL after `grace` s, also for children that outlive it; whether SIGTERM was enough."""
        if self._process is None:
            return True
        if self.running:
            self.send(signal.SIGTERM)
        try:
            return await self.wait(grace)
        finally:
            self.send(signal.SIGKILL)
            self._process.wait()
            if self._reader is not None:
                self._reader.join(timeout=1)

    def tail(self) -> str:
        """The last lines of its log."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join(lines[-TAIL_LINES:])

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        assert self._on_line is not None
        with self._process.stdout as output, self.log.open("ab", buffering=0) as log:
            for line in output:
                log.write(line)
                self._on_line(self.name, line.decode(errors="replace").rstrip("\n"))


def _tether(number: signal.Signals) -> list[str]:
    """A prefix that ends the process with this one, even when this one is killed: util-linux has it, macOS has not."""
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return [setpriv, "--pdeathsig", number.name, "--"] if setpriv else []
