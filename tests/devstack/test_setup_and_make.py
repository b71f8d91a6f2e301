"""scripts/setup.sh and the Makefile: quick when there is nothing to do, clear when something is wrong."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("shared", "webhook-gateway", "streamer", "ai-worker", "simulator", "devstack", "cli")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What setup.sh looks at, with nothing set up."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
        shutil.copy(ROOT / package / "pyproject.toml", tmp_path / package)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "setup.sh", tmp_path / "scripts")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "dev.txt").write_text("there-is-no-such-package==9.9.9 --hash=sha256:" + "0" * 64 + "\n")
    return tmp_path


def setup(clone: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    # The index that pip asks is this machine's own affair: here none is to be asked at all.
    return subprocess.run(
        [clone / "scripts" / "setup.sh", *arguments],
        env={**os.environ, "PIP_NO_INDEX": "1", **env},
        capture_output=True,
        text=True,
        check=False,
    )


def python_of(version: str, place: Path) -> Path:
    """A `python` that is too old, as far as anybody can tell who asks it."""
    major, minor, _ = version.split(".")
    script = place / f"python{major}.{minor}"
    script.write_text(f'#!/bin/sh\ncase "$2" in *sys.exit*) exit 1 ;; *) echo {version} ;; esac\n')
    script.chmod(0o755)
    return script


def test_nothing_to_do_is_quick_and_silent() -> None:
    if setup(ROOT, "--check").returncode != 0:
        pytest.skip("this environment was not made by scripts/setup.sh")
    began = time.monotonic()
    done = setup(ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - began < 0.3


def test_a_clone_is_not_set_up(clone: Path) -> None:
    checked = setup(clone, "--check")
    assert (checked.returncode, checked.stdout, checked.stderr) == (1, "", "")
    assert not (clone / ".venv").exists()


def test_an_old_python_is_one_clear_line(clone: Path) -> None:
    old = python_of("3.9.18", clone)
    done = setup(clone, PYTHON=str(old))
    assert done.returncode == 1
    assert done.stderr == (
        f"setup: Python 3.11 or later is needed, found: {old} (3.9.18). "
        "Install one, or name it: make PYTHON=/path/to/python3.12 …\n"
    )


def test_what_pip_says_is_shown_when_it_fails(clone: Path) -> None:
    done = setup(clone, PYTHON=sys.executable)
    assert done.returncode == 1
    assert "No matching distribution found for there-is-no-such-package==9.9.9" in done.stderr
    assert "the whole log is in .venv/setup.log" in done.stderr
    assert setup(clone, "--check").returncode == 1


def test_make_alone_lists_every_target() -> None:
    shown = subprocess.run(["make", "-C", ROOT], capture_output=True, text=True, check=True).stdout
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony is not None
    targets = set(phony[1].split())
    assert {"demo", "test", "dev", "up", "down", "call", "lint", "help", "lock", "clean"} <= targets
    assert set(re.findall(r"^  make (\S+) +\S", shown, re.MULTILINE)) == targets


@pytest.mark.parametrize(("env_file", "given", "workers"), [("", "", 1), ("WORKERS=3", "", 3), ("WORKERS=3", "2", 2)])
def test_make_up_runs_as_many_workers_as_were_asked_for(
    tmp_path: Path, env_file: str, given: str, workers: int
) -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed: what compose makes of its file can't be asked")
    for name in ("Makefile", "docker-compose.yml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".env").write_text(f"{env_file}\n")
    env = {name: value for name, value in os.environ.items() if name != "WORKERS"}
    asked = ["make", "-C", str(tmp_path), "--no-print-directory", "-n", "up", *([f"WORKERS={given}"] if given else [])]
    up = subprocess.run(asked, env=env, capture_output=True, text=True, check=True).stdout
    [line] = [line for line in up.splitlines() if "compose up" in line]
    shown = subprocess.run(
        ["bash", "-c", line.replace("up --build --wait", "config --format json")],
        env=env, cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert json.loads(shown)["services"]["ai-worker"]["scale"] == workers
