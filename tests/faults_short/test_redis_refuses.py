"""Services that stop and start while Redis answers and takes no writes: they end well, wait, and are ready after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from callbus.broker import connect
from devstack.processes import ManagedProcess
from devstack.stack import GATEWAY, JOBS, REDIS, STREAMER, LocalStack
from support.fake_providers import FakeElevenLabs, FakeOpenAI, one_each
from support.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]

WORKER = "ai-worker-1"
STARTED = {
    GATEWAY: "listening",
    STREAMER: "Redis is away; calls are taken all the same",
    JOBS: "Redis is away",
    WORKER: "no calls until Redis is there",
}
"""What each logs then."""


async def test_services_start_while_redis_takes_no_writes(tmp_path: Path) -> None:
    async with FakeOpenAI() as openai, FakeElevenLabs() as elevenlabs:
        env = {**one_each(openai, elevenlabs), "LOG_FORMAT": "json"}
        async with LocalStack(tmp_path, env=env) as stack, connect(stack.redis_url) as broker:
            services = {name: stack.process(name) for name in stack.names if name != REDIS}
            assert set(services) == set(STARTED)
            # Nothing that they find there is of their predecessors.
            await broker.execute("FLUSHALL")
            await broker.execute("CONFIG", "SET", "maxmemory", "1")
            for process in services.values():
                await _restarted(process)
            stack.check()
            await broker.execute("CONFIG", "SET", "maxmemory", "0")
            await stack.wait_ready(*services)


async def _restarted(process: ManagedProcess) -> None:
    await process.stop(10.0)
    assert process.exit_code == 0, process.tail()
    before = len(process.log.read_text())
    process.start()
    await until(lambda: STARTED[process.name] in process.log.read_text()[before:], what=f"{process.name} starts")
