"""`devstack demo`, `dev` and `call` as a person runs them, with real calls."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devstack.ports import free_port

pytestmark = [pytest.mark.speech, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
DEVSTACK = Path(sys.executable).with_name("devstack")


@contextmanager
def running_dev(out: Path, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """`devstack dev` as a process; killed at the end, if it still runs then."""
    process = subprocess.Popen(
        [DEVSTACK, "--out", out, "dev"], env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        with process:
            yield process
    finally:
        process.kill()


def test_the_demo_holds_a_call_and_leaves_its_record(tmp_path: Path) -> None:
    began = time.monotonic()
    done = subprocess.run([DEVSTACK, "--out", tmp_path, "demo"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 90

    (folder,) = (tmp_path / "demo").iterdir()
    assert f"{folder}/call.wav" in done.stdout
    assert f"{folder}/call.json" in done.stdout
    with wave.open(str(folder / "call.wav")) as recording:
        assert (recording.getnchannels(), recording.getframerate()) == (2, 8000)
        seconds = recording.getnframes() / recording.getframerate()
    assert seconds > 15
    record = json.loads((folder / "call.json").read_text())
    assert record["outcome"] == "transferred"
    for turn in record["turns"]:
        if turn["caller"]:
            assert f"caller  {turn['caller']['text']}" in done.stdout
    assert re.search(r"latency turn 1: .*\d+ ms voice to voice", done.stdout)
    report = json.loads((folder / "simulator" / "report.json").read_text())
    told = [turn["told"] for turn in report["turns"] if turn["told"]]
    assert len(told) == sum(bool(turn["timing"]) for turn in record["turns"])
    for stages in (one["stages"] for one in told):
        assert 0 < stages["turn_end"] < stages["tts_first_byte"] <= stages["first_audio_sent"] < 10_000
    assert all(0 <= one["hops"][way] < 1000 for one in told for way in ("in", "out"))
    assert re.search(r"first audio sent .* hop in +hop out", (folder / "simulator" / "report.txt").read_text())
    assert re.search(r"median", done.stdout)


@pytest.mark.long
def test_dev_runs_until_ctrl_c_and_call_finds_it(tmp_path: Path) -> None:
    gateway, streamer = free_port(), free_port()
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("RINGOVER_", "STREAMER_"))},
        "GATEWAY_PORT": str(gateway),
        "STREAMER_PORT": str(streamer),
        "STT_PROVIDERS": "local",
        "LLM_PROVIDERS": "local",
        "TTS_PROVIDERS": "local",
    }
    script = ROOT / "simulator" / "scripts" / "quick.yaml"
    with running_dev(tmp_path, env) as dev:
        assert dev.stdout is not None
        lines: list[str] = []
        for line in dev.stdout:
            lines.append(line)
            if line.startswith("Ready."):
                break
        assert any(line.startswith("Ready.") for line in lines), "".join(lines)
        state = tmp_path / "dev" / "stack.json"
        assert state.stat().st_mode & 0o077 == 0, "others may read the secrets"

        call = subprocess.run(
            [DEVSTACK, "--out", tmp_path, "call", "--script", script],
            env=env, cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert call.returncode == 0, call.stdout + call.stderr
        assert f"to http://127.0.0.1:{gateway}" in call.stdout
        assert re.search(r"caller  .*opening hours", call.stdout)
        assert "all expectations held" in call.stdout

        # Nothing but what dev wrote tells the command line where Redis, the calls and their token are.
        bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        for command in (["calls"], ["check"]):
            asked = subprocess.run(
                [DEVSTACK.with_name("ringover-voicebot"), *command, "--out", tmp_path],
                env=bare | {"AGENTS_DIR": str(ROOT / "agents")},
                cwd=tmp_path, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert asked.returncode == 0, asked.stdout + asked.stderr
        assert "✓ admin token" in asked.stdout
        assert "noeviction" in asked.stdout

        dev.send_signal(signal.SIGINT)
        rest = dev.stdout.read()
        assert dev.wait(30) == 0, rest
    assert re.search(r"^webhook-gateway .*", rest, re.MULTILINE), "no interleaved logs"
    assert not state.exists()


def test_dev_says_which_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {**os.environ, "GATEWAY_PORT": str(port)}
        done = subprocess.run(
            [DEVSTACK, "--out", tmp_path, "dev"], env=env, cwd=ROOT, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert f"port {port}, wanted for the webhook gateway, is taken" in done.stdout
    assert "GATEWAY_PORT=8001 make dev" in done.stdout


def test_a_call_to_nothing_is_one_clear_line(tmp_path: Path) -> None:
    env = {**os.environ, "GATEWAY_PORT": str(free_port())}
    done = subprocess.run(
        [DEVSTACK, "--out", tmp_path, "call"], env=env, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "start it with `make up`, or `make dev` in another terminal" in done.stdout
