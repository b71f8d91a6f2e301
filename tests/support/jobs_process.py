"""ai-jobs as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path


class AiJobs:
    """A running ai-jobs. Its log lies in `log`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8")

    @property
    def running(self) -> bool:
        return self._process.returncode is None

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def exit_code(self) -> int:
        return await asyncio.wait_for(self._process.wait(), 20)

    async def until(self, condition: Callable[[], bool], what: str, *, every_s: float = 0.02) -> None:
        """Wait for a condition while the process runs. Fails with its log."""
        deadline = asyncio.get_running_loop().time() + 20
        while not condition():
            if not self.running or asyncio.get_running_loop().time() > deadline:
                raise AssertionError(f"no {what}; exit code {self._process.returncode}; its log:\n{self.log}")
            await asyncio.sleep(every_s)


@asynccontextmanager
async def ai_jobs(redis_url: str, calls_dir: Path, folder: Path, **settings: str) -> AsyncIterator[AiJobs]:
    """Run ai-jobs for the length of a block; `folder` is its working directory (no `.env` in it) and takes its log."""
    log = folder / "ai-jobs.log"
    environment = {**os.environ, "REDIS_URL": redis_url, "CALLS_DIR": str(calls_dir), "LOG_FORMAT": "json", **settings}
    with log.open("ab") as stderr:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "ai-jobs", cwd=folder, env=environment, stderr=stderr
        )
    try:
        yield AiJobs(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
