"""The agents' folder, as `ai-worker check-agents` judges it."""

from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

from voicebot_cli.check.verdict import Verdict, right, unset, wrong

COMMAND = "ai-worker"
TIMEOUT_S = 30.0


async def check_agents(directory: Path) -> Verdict:
    """Run it, if it is on the PATH or beside this Python."""
    found = shutil.which(COMMAND) or shutil.which(COMMAND, path=str(Path(sys.executable).parent))
    if found is None:
        return unset("agents", f"{COMMAND} is not installed here", f"run `{COMMAND} check-agents` where it is")
    process = await asyncio.create_subprocess_exec(
        found,
        "check-agents",
        str(directory),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, problems = (text.decode(errors="replace").strip() for text in await process.communicate())
    except TimeoutError:
        return wrong("agents", f"no verdict within {TIMEOUT_S:.0f} s", f"run `{COMMAND} check-agents {directory}`")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        return wrong("agents", problems or f"exit code {process.returncode}", "correct the line that is named")
    agents = len(out.splitlines())
    return right("agents", f"{agents} agent{'s' * (agents != 1)} in {directory}", problems.replace("\n", "; "))
