"""The images and docker-compose.yml, for real: a simulated caller telephones with the containers."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.cli_process import run
from support.stack_containers import Containers

pytestmark = [
    pytest.mark.containers,
    # The first of them builds the images.
    pytest.mark.timeout(900),
]

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("webhook-gateway", "streamer", "ai-worker", "ai-jobs")
CALL = "containers-1"
RECORD = f"/data/calls/{CALL}"
RECORD_TIMEOUT_S = 60


def simulated_call(containers: Containers, out: Path) -> subprocess.CompletedProcess[str]:
    """A caller asks one question and hangs up."""
    return subprocess.run(
        [
            Path(sys.executable).with_name("ringover-sim"),
            *("call", "--script", ROOT / "simulator" / "scripts" / "quick.yaml", "--call-id", CALL),
            *("--gateway", containers.gateway_url, "--streamer", containers.streamer_url, "--out", out, "--json"),
        ],
        env={
            **os.environ,
            "RINGOVER_WEBHOOK_SECRET": containers.webhook_secret,
            "STREAMER_TOKEN": containers.streamer_token,
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture(scope="module")
def called(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """The call, placed once for all tests."""
    return simulated_call(containers, tmp_path_factory.mktemp("simulator"))


def record(containers: Containers) -> dict[str, Any]:
    """The call's record, as soon as ai-jobs has written it."""
    deadline = time.monotonic() + RECORD_TIMEOUT_S
    while True:
        try:
            found: dict[str, Any] = json.loads(containers.run("ai-jobs", "cat", f"{RECORD}/call.json"))
            return found
        except subprocess.CalledProcessError:
            assert time.monotonic() < deadline, containers.logs("ai-jobs")
            time.sleep(0.5)


def test_everything_is_ready(containers: Containers) -> None:
    status = httpx.get(f"{containers.gateway_url}/api/v1/status", trust_env=False).json()
    assert status["status"] == "ok"
    assert status["problems"] == []
    assert (len(status["streamers"]), len(status["workers"])) == (1, 2)
    hosts = {worker["id"].rsplit("-", 2)[0] for worker in status["workers"]}
    assert len(hosts) == 2, "both workers are in one container"


def test_the_console_is_in_the_image(containers: Containers) -> None:
    page = httpx.get(f"{containers.gateway_url}/console/", trust_env=False)
    assert (page.status_code, "text/html" in page.headers["content-type"]) == (200, True)
    script = httpx.get(f"{containers.gateway_url}/console/static/js/app.js", trust_env=False)
    assert (script.status_code, "javascript" in script.headers["content-type"]) == (200, True)


@pytest.mark.parametrize("service", SERVICES)
def test_no_container_runs_as_root(containers: Containers, service: str) -> None:
    assert containers.run(service, "id", "-u").strip() == "10001"
    with pytest.raises(subprocess.CalledProcessError):
        containers.run(service, "touch", "/app/written")


def test_a_call_is_held_and_recorded(containers: Containers, called: subprocess.CompletedProcess[str]) -> None:
    assert called.returncode == 0, called.stdout + called.stderr + containers.logs()

    written = record(containers)
    assert written["call_id"] == CALL
    assert (written["outcome"], written["ended_by"]) == ("caller_left", "caller")
    questions = [turn["caller"]["text"] for turn in written["turns"] if turn["caller"]]
    assert len(questions) == 1
    assert "opening hours" in questions[0].lower()
    answers = [sentence["heard_text"] for turn in written["turns"] if turn["caller"] for sentence in turn["bot"]]
    assert any(answers), "the caller heard no answer"
    assert int(containers.run("streamer", "stat", "-c", "%s", f"{RECORD}/call.wav")) > 100_000

    listed = httpx.get(
        f"{containers.gateway_url}/api/v1/calls/{CALL}",
        headers={"Authorization": f"Bearer {containers.admin_token}"},
        trust_env=False,
    )
    assert listed.status_code == 200
    assert listed.json()["state"] == "ended"
    assert questions[0] in [entry.get("text") for entry in listed.json()["transcript"] if entry["kind"] == "caller"]


async def test_the_command_line_works_on_the_host_from_the_folder_with_the_env_file(
    containers: Containers, called: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert called.returncode == 0, called.stdout + called.stderr
    await asyncio.to_thread(record, containers)
    (tmp_path / ".env").write_text(containers.env_file.read_text())
    (tmp_path / "agents").symlink_to(ROOT / "agents")
    for command, words in {
        "status": "ok  gateway",
        "check": "Everything that was looked at is as it should be.",
        "calls": CALL,
        f"tail {CALL}": "conversation over: caller_left",
        f"replay {CALL}": "= heard       Hello, this is the Maple Street Library.",
    }.items():
        ran = await run(tmp_path, *command.split())
        assert (ran.code, words in ran.out) == (0, True), f"{command}:\n{ran.out}\n{ran.err}"
