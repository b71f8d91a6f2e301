"""The local stack: it comes up whole, loses and regains parts, says why it can't start, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from callbus import registry
from callbus.broker import connect
from devstack.errors import ServiceDied
from devstack.stack import LocalStack

pytestmark = pytest.mark.speech


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def processes_of(directory: Path) -> list[str]:
    """Processes that have this directory in their command line or as their working directory."""
    rows = subprocess.run(["ps", "-eo", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    found = []
    for row in rows.splitlines():
        pid, state, command = row.split(None, 2)
        if not state.startswith("Z") and (str(directory) in command or working_directory(pid) == str(directory)):
            found.append(row)
    return found


def working_directory(pid: str) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None


async def test_it_comes_up_survives_losses_and_leaves_nothing(tmp_path: Path) -> None:
    steps: list[str] = []
    async with LocalStack(tmp_path, on_progress=steps.append) as stack:
        assert stack.names == ["redis", "webhook-gateway", "streamer", "ai-jobs", "ai-worker-1"]
        assert {step.split()[0] for step in steps} == set(stack.names)
        pids = {stack.process(name).pid for name in stack.names}

        second = await stack.start_worker()
        assert second == "ai-worker-2"
        await stack.kill("ai-worker-1")
        assert stack.process("ai-worker-1").exit_code == -signal.SIGKILL
        with pytest.raises(ServiceDied, match="ai-worker-1 ended with exit code -9"):
            stack.check()
        await stack.remove("ai-worker-1")
        stack.check()

        await stack.kill("webhook-gateway")
        await stack.restart("webhook-gateway")
        async with httpx.AsyncClient(base_url=stack.gateway_url, trust_env=False) as client:
            assert (await client.get("/ready")).status_code == 200
            refused = await client.post("/api/v1/webhooks/ringover/event", json={"event_type": "call_ringing"})
            assert refused.status_code == 401
        async with connect(stack.redis_url) as broker:
            beats = await registry.running(broker)
        assert {"worker", "streamer", "gateway", "jobs"} <= {beat["kind"] for beat in beats}
        pids |= {stack.process(name).pid for name in stack.names}
        assert processes_of(tmp_path), "the search for what is left finds nothing even now"
    assert processes_of(tmp_path) == []
    assert not any(map(listening, (stack.gateway_port, stack.streamer_port, stack.redis_port)))
    assert not any(map(alive, pids))
    for name in ("webhook-gateway", "streamer", "ai-jobs", "ai-worker-2"):
        assert (tmp_path / "logs" / f"{name}.log").exists()


async def test_a_service_that_cannot_start_says_why_at_once(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, workers=0, env={"STREAMER_SAMPLE_RATE": "44100"})
    with pytest.raises(ServiceDied) as caught:
        async with asyncio.timeout(20):
            await stack.__aenter__()
    assert "streamer ended with exit code 2" in str(caught.value)
    assert "setting STREAMER_SAMPLE_RATE='44100' is wrong" in str(caught.value)
    assert processes_of(tmp_path) == []
    assert not listening(stack.redis_port)


async def test_a_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    ready = asyncio.Event()
    stack = LocalStack(tmp_path, on_progress=lambda _: ready.set())
    starting = asyncio.create_task(stack.__aenter__())
    async with asyncio.timeout(20):
        await ready.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert processes_of(tmp_path) == []
    assert not listening(stack.redis_port)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows a process's environment")
async def test_a_sealed_stack_sees_nothing_of_its_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-owner")
    monkeypatch.setenv("GATEWAY_PORT", "1")
    (tmp_path / ".env").touch()
    async with LocalStack(tmp_path / "run", workers=0) as stack:
        environment = environment_of(stack.process("webhook-gateway").pid)
        assert b"sk-of-the-owner" not in environment
        assert re.search(rb"GATEWAY_PORT=%d\0" % stack.gateway_port, environment)
