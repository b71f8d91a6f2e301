"""Every command in the papers can be given: make targets, compose services, options, files; curl lines are run.

Our own commands are run by test_our_commands.py.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from callbus import calls
from callbus.broker import Broker
from support.gateway_process import gateway
from support.papers import ROOT, commands, parts
from support.streamer_process import streamer

BIN = Path(sys.executable).parent
TOKEN = "an-admin-token-of-the-tests"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
VALUED = {"--scale", "--since", "--tail", "--script", "--profile"}
"""Options of docker compose that are followed by a value."""


def make(words: list[str]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) \??=", MAKEFILE, re.MULTILINE)) | {"PYTHON"}
    for word in words[1:]:
        name, is_variable, _ = word.partition("=")
        assert name in (variables if is_variable else targets), word


def docker(words: list[str]) -> None:
    if words[1] != "compose":
        assert words[1] == "run", words
        mounted = words[words.index("--volume") + 1].partition(":")[0]
        assert (ROOT / mounted.replace("$PWD/", "")).is_dir(), mounted
        return
    command, rest = words[2], words[3:]
    plain: list[str] = []
    options: list[str] = []
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            options.append(word.partition("=")[0])
            value = rest.pop(0) if word in VALUED else ""
            if word == "--scale":
                assert value.partition("=")[0] in COMPOSE["services"], value
            continue
        plain.append(word)
        if command in ("exec", "run"):
            break
    named = [word.partition(":")[0] for word in plain]
    if command == "cp":
        named = [word.partition(":")[0] for word in plain if ":" in word]
    assert set(named) <= set(COMPOSE["services"]), words
    if command == "run" and rest:
        script(rest)
    assert set(options) <= set(compose_options(command)), words


@cache
def compose_options(command: str) -> tuple[str, ...]:
    done = subprocess.run(
        ["docker", "compose", command, "--help"], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 0, f"docker compose {command}: {done.stderr}"
    return tuple(re.findall(r"(--?[a-z][a-z-]*)", done.stdout))


def script(words: list[str]) -> None:
    """A console script: its subcommand's help knows its options."""
    name = Path(words[0]).name
    assert (BIN / name).exists(), name
    if words[1:2] == ["check-agents"]:
        done = subprocess.run(
            [BIN / name, *words[1:]], cwd=ROOT, env=bare(), capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return
    subcommand = [word for word in words[1:2] if not word.startswith("-")]
    text = help_of(name, *subcommand)
    for word in words[1:]:
        if word.startswith("--"):
            assert word.partition("=")[0] in text, f"{name} {subcommand} has no {word}"


@cache
def help_of(name: str, *subcommand: str) -> str:
    done = subprocess.run(
        [BIN / name, *subcommand, "--help"], env=bare(), capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bare() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


def copies(words: list[str]) -> None:
    assert (ROOT / words[1]).exists(), words


def kubectl(words: list[str]) -> None:
    for option in ("-k", "-f"):
        if option in words:
            assert (ROOT / words[words.index(option) + 1]).exists(), words
    for word in words:
        name, _, value = word.partition("=")
        if name == "--from-file":
            assert (ROOT / value).exists(), word


def nothing(words: list[str]) -> None:
    """A tool of the system's whose arguments name nothing of ours."""


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": make,
    "docker": docker,
    "kubectl": kubectl,
    "cp": copies,
    "curl": nothing,  # run below
    "grep": nothing,
}


def test_commands_are_found() -> None:
    first = {words[0] for _, line in commands() for words in parts(line)}
    assert {"make", "docker", "curl", "kubectl", ".venv/bin/ringover-voicebot"} <= first


@pytest.mark.parametrize("line", sorted({line for _, line in commands()}))
def test_the_command_can_be_given(line: str) -> None:
    for words in parts(line):
        if words[:2] == ["docker", "compose"] and shutil.which("docker") is None:
            pytest.skip("docker is not installed: its options can't be looked up")
        CHECKS.get(words[0], script)(words)


async def test_curl_lines_are_answered(tmp_path: Path, redis_url: str, broker: Broker) -> None:
    lines = sorted({line for _, line in commands() if line.startswith("curl")})
    assert len(lines) >= 5
    await calls.update(broker, "test123", state="ringing")
    settings = {"REDIS_URL": redis_url, "RINGOVER_WEBHOOK_SECRET": "of-the-tests", "ADMIN_TOKEN": TOKEN}
    with gateway(tmp_path / "gateway", **settings) as running, streamer(tmp_path / "streamer", redis_url) as media:
        await post_something(running.url)
        for line in lines:
            here = line.replace("http://localhost:8000", running.url)
            here = here.replace("http://localhost:8765", f"http://127.0.0.1:{media.port}")
            here = here.replace("curl ", "curl -w '%{stderr}%{http_code}' ", 1)
            assert here != line, f"{line}: neither the gateway nor the streamer"
            done = await asyncio.to_thread(
                subprocess.run,
                ["bash", "-o", "pipefail", "-c", here],
                cwd=tmp_path,
                env={**bare(), "ADMIN_TOKEN": TOKEN, "no_proxy": "*"},
                capture_output=True,
                text=True,
                timeout=30,
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
            assert done.stdout.strip(), line
            assert done.stderr.endswith("200"), f"{line}: {done.stderr}"


async def post_something(url: str) -> None:
    """A webhook that is refused, so that there is something to count."""
    await asyncio.to_thread(
        subprocess.run,
        [
            "curl",
            "-s",
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            "{}",
            f"{url}/api/v1/webhooks/ringover/event",
        ],
        env={**bare(), "no_proxy": "*"},
        capture_output=True,
        timeout=30,
        check=True,
    )
