"""Every line of our own commands in the papers, run beside a system that is laid out like docker compose's.

The folder has the `.env` that `make up` makes; gateway and streamer are on ports of this machine, Redis is out of
reach.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values

from devstack.ports import free_port
from devstack.stack import LocalStack
from support.gateway_process import environment
from support.papers import ROOT, commands, papers, parts, prose
from support.whole_calls import record_of, running

pytestmark = [pytest.mark.long, pytest.mark.speech, pytest.mark.timeout(180)]

BIN = Path(sys.executable).parent
OURS = ("ringover-voicebot", "ai-jobs", "ai-worker")
CALL = "test123"
SAYS = {
    "ringover-voicebot status": "ok  gateway",
    "ringover-voicebot check": "Everything that was looked at is as it should be.",
    "ringover-voicebot calls": CALL,
    f"ringover-voicebot tail {CALL}": "conversation over: caller_left",
    f"ringover-voicebot replay {CALL}": "= heard       Hello, this is the Maple Street Library.",
    "ringover-voicebot sign": "curl -sS -i -X POST http",
    "ai-worker check-agents agents": "library",
    "ai-jobs dead": "0 dead letters",
    "ai-jobs replay --all": "0 records will be delivered again",
    f"ai-jobs replay {CALL}": f"the record of call {CALL} will be delivered again",
    # The caller of the call, which is still there until then, and of its replay.
    "ai-jobs forget --number 33612345678": "2 calls erased",
    'ai-jobs forget --number "+33 6 12 34 56 78"': "0 calls erased",
}
"""What each must print, with exit code 0, in this order."""
ELSEWHERE = {"ringover-voicebot test-agents": "tests/cli/test_bots_live.py"}


def written() -> set[str]:
    """Our commands as the papers have them, in blocks and in sentences, for the call of this test."""
    found = set()
    for _, line in commands():
        for words in parts(line):
            if words[:3] == ["docker", "compose", "run"]:
                words = words[words.index("ai-jobs") + 1 :] if "ai-jobs" in words else []
            if words and Path(words[0]).name in OURS:
                found.add(" ".join((Path(words[0]).name, *words[1:])))
    for paper in papers():
        for span in re.findall(r"`(?:\.venv/bin/)?((?:" + "|".join(OURS) + r") [a-z][^`]+)`", prose(paper)):
            found.add(re.sub(r"\b(CALL_ID|ID)\b", CALL, span.replace("[DIR]", "agents")))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an operator has after `make up` and `make setup`: `.env`, the agents, the commands."""
    made = tmp_path_factory.mktemp("operator")
    (made / "scripts").mkdir()
    for name in (".env.example", "scripts/make-env.sh"):
        (made / name).write_text((ROOT / name).read_text())
    subprocess.run(["bash", made / "scripts" / "make-env.sh"], check=True, capture_output=True)
    with (made / ".env").open("a") as file:
        file.write(f"GATEWAY_PORT={free_port()}\nSTREAMER_PORT={free_port()}\n")
    (made / "agents").symlink_to(ROOT / "agents")
    (made / ".venv").mkdir()
    (made / ".venv" / "bin").symlink_to(BIN)
    return made


@pytest.fixture(scope="module")
def stack(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The services with those settings; where Redis and the calls' folder are, the operator's folder does not say."""
    settings = {name: value for name, value in dotenv_values(folder / ".env").items() if value}
    ports = {name: int(settings.pop(f"{name.upper()}")) for name in ("gateway_port", "streamer_port")}
    with running(tmp_path_factory.mktemp("stack"), env=settings, **ports) as started:
        yield started


def test_every_command_has_its_expectation() -> None:
    assert written() == {*SAYS, *ELSEWHERE}


def test_the_commands_do_what_the_papers_say(folder: Path, stack: LocalStack) -> None:
    call(stack, folder)
    asyncio.run(record_of(stack, CALL))
    inside = {
        "REDIS_URL": stack.redis_url,
        "CALLS_DIR": str(stack.calls_dir),
        "CALLS_WEBHOOK_URL": "http://127.0.0.1:9/",
        "CALLS_WEBHOOK_SECRET": "of-the-tests",
    }
    for command, words in SAYS.items():
        # What runs in a container has its settings; what runs on the host must find its own in `.env`.
        settings = inside if command.startswith("ai-jobs") else {}
        here = f".venv/bin/{command}" + (" --out ." if command.startswith("ringover-voicebot") else "")
        done = subprocess.run(
            ["bash", "-c", here], cwd=folder, env=environment(**settings), capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert (done.returncode, words in done.stdout) == (0, True), f"{command}:\n{done.stdout}\n{done.stderr}"
    assert not (stack.calls_dir / CALL).exists()


def call(stack: LocalStack, folder: Path) -> None:
    """A caller asks one question and hangs up."""
    script = ROOT / "simulator" / "scripts" / "quick.yaml"
    done = subprocess.run(
        [
            *(BIN / "ringover-sim", "call", "--script", script, "--call-id", CALL, "--out", folder / "simulator"),
            *("--gateway", stack.gateway_url, "--streamer", stack.streamer_url),
        ],
        env=environment(RINGOVER_WEBHOOK_SECRET=stack.webhook_secret, STREAMER_TOKEN=stack.streamer_token),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
