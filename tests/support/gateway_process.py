"""The webhook-gateway as the process that it is in production: its console command, on a free port."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

COMMAND = Path(sys.executable).parent / "webhook-gateway"
ENDPOINT = "/api/v1/webhooks/ringover/event"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway; `url` is where it listens."""

    url: str
    process: subprocess.Popen[bytes]
    stderr: Path

    def logged(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        return _lines(self.stderr)


def environment(**settings: str) -> dict[str, str]:
    """The environment of a process that has these settings and no others."""
    kept = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT")
    }
    return {**kept, "LOG_FORMAT": "json", **settings}


@contextmanager
def gateway(directory: Path, **settings: str) -> Iterator[Gateway]:
    """Run the gateway for the length of a block; it must end with exit code 0 on SIGTERM.

    It runs in `directory`, so that no `.env` of the developer's is read.
    """
    directory.mkdir(parents=True, exist_ok=True)
    stderr = directory / "stderr.log"
    settings = {"GATEWAY_HOST": "127.0.0.1", "GATEWAY_PORT": "0", **settings}
    with stderr.open("wb") as log:
        process = subprocess.Popen([COMMAND], cwd=directory, env=environment(**settings), stderr=log)
    try:
        yield Gateway(_until_ready(process, stderr), process, stderr)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.terminate()
    try:
        code = process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise
    assert code == 0, f"exit code {code}: {stderr.read_text()[-2000:]}"


def _until_ready(process: subprocess.Popen[bytes], stderr: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"it ended at once: {stderr.read_text()}"
        port = next((line["port"] for line in _lines(stderr) if line.get("event") == "listening"), None)
        if port is not None:
            url = f"http://127.0.0.1:{port}"
            # The socket listens already: this waits for as long as the server takes to answer.
            if httpx.get(f"{url}/ready", timeout=START_TIMEOUT_S).status_code == 200:
                return url
        time.sleep(0.02)
    raise AssertionError(f"not ready within {START_TIMEOUT_S} s: {stderr.read_text()}")


def _lines(stderr: Path) -> list[dict[str, Any]]:
    text = stderr.read_text()
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


async def eventually(check: Callable[[], Awaitable[bool]], *, within: float = 5.0) -> None:
    """Wait until `check` holds. Raises TimeoutError."""
    async with asyncio.timeout(within):
        while not await check():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.02)
