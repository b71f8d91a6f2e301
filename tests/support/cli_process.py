"""The command `ringover-voicebot` as the process that a person starts, seeing no settings but those given."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

COMMAND = Path(sys.executable).parent / "ringover-voicebot"
TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str


@asynccontextmanager
async def started(cwd: Path, *arguments: str, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The command in a folder without a `.env`; killed at the end of the block if it still runs."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        cwd=cwd,
        env={**kept, **settings},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run(cwd: Path, *arguments: str, **settings: str) -> Ran:
    """The command from its start to its end. Commands that talk to a system get a `--out` without a `make dev`."""
    where = () if "test-agents" in arguments else ("--out", str(cwd))
    async with started(cwd, *arguments, *where, **settings) as process:
        async with asyncio.timeout(TIMEOUT_S):
            out, err = await process.communicate()
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())
