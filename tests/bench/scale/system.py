"""The system under the load: real processes, the load's and the providers' own ones, and their figures at a moment."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.errors import BenchError
from bench.scale.usage import Usage, machine_cpu_s, usage
from callbus import keys, registry, transcript
from callbus.broker import Broker, connect
from devstack.ports import free_port
from devstack.processes import ManagedProcess
from devstack.stack import GATEWAY, JOBS, STREAMER, LocalStack

TESTS = Path(__file__).resolve().parents[2]
ORDER_TIMEOUT_S = 120.0
WORKER = "ai-worker"
AGE = "ringover_worker_audio_age_seconds_bucket"
MISSED = "ringover_worker_audio_frames_missed_total"

Samples = dict[str, float]
"""Values by name, of a histogram's buckets by name and upper edge."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All counts since each process began. `at` is s of the monotonic clock, `epoch` epoch s."""

    at: float
    epoch: float
    used: dict[str, Usage]
    """By process: streamer, ai-worker-1, …, redis, webhook-gateway, ai-jobs, load, providers."""
    machine_s: float
    redis: Samples
    streamer: Samples
    workers: list[Samples]
    load: dict[str, Any]


class MeasuredStack(LocalStack):
    """A LocalStack of which every worker serves its metrics. `sampled` (a folder): profile streamer and workers."""

    def __init__(self, directory: Path, *, sampled: Path | None = None, **options: Any) -> None:
        super().__init__(directory, **options)
        self.metrics_ports: dict[str, int] = {}
        self.sampled: list[str] = []
        self._samples = sampled

    def _add(
        self,
        name: str,
        argv: list[str],
        ready: Callable[[], Awaitable[bool]],
        *,
        orphaned: signal.Signals = signal.SIGKILL,
    ) -> ManagedProcess:
        if name.startswith(WORKER):
            self.metrics_ports[name] = free_port()
            self._env |= {"WORKER_METRICS_PORT": str(self.metrics_ports[name])}
        if self._samples is not None and (name == STREAMER or name.startswith(WORKER)):
            self.sampled.append(name)
            argv = [sys.executable, "-m", "bench.scale.sampler", str(self._samples / f"{name}.txt"), *argv]
        return super()._add(name, argv, ready, orphaned=orphaned)


class Partner:
    """A process of the bench that is told what to do, a line of JSON at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self.pid = process.pid
        self._process, self._to, self._from = process, process.stdin, process.stdout

    async def line(self) -> dict[str, Any]:
        """What it says next. Raises BenchError when it has ended, or says nothing for two minutes."""
        try:
            async with asyncio.timeout(ORDER_TIMEOUT_S):
                line = await self._from.readline()
        except TimeoutError as error:
            raise BenchError(f"process {self.pid} of the bench does not answer") from error
        if not line:
            raise BenchError(f"process {self.pid} of the bench has ended: its error is above")
        said: dict[str, Any] = json.loads(line)
        return said

    async def order(self, **order: Any) -> dict[str, Any]:
        """Let it do something; its answer. Raises BenchError."""
        self._to.write(json.dumps(order).encode() + b"\n")
        return await self.line()


@asynccontextmanager
async def partner(module: str, *arguments: str, env: Mapping[str, str]) -> AsyncIterator[Partner]:
    """Run a module of the bench as a process for the length of a block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**env, "PYTHONPATH": str(TESTS)},
        limit=1 << 26,
    )
    try:
        yield Partner(process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


class System:
    """The stack, the load on it, and what both use."""

    def __init__(self, stack: MeasuredStack, load: Partner, providers: Partner, broker: Broker) -> None:
        self.stack, self.load = stack, load
        self._providers, self._broker = providers, broker
        self._client = httpx.AsyncClient(trust_env=False, timeout=5.0)
        self._redis_pid = 0

    async def aclose(self) -> None:
        await self._client.aclose()

    async def snapshot(self) -> Snapshot:
        """Everything, now. Raises BenchError, ServiceDied."""
        self.stack.check()
        redis = await self._redis()
        pids = {name: self.stack.process(name).pid for name in (STREAMER, GATEWAY, JOBS, *self.stack.metrics_ports)}
        pids |= {"redis": int(redis["process_id"]), "load": self.load.pid, "providers": self._providers.pid}
        at, epoch, machine_s = time.monotonic(), time.time(), machine_cpu_s()
        used = {name: usage(pid) for name, pid in pids.items()}
        tally = await self.load.order(tally=True)
        streamer = await self._metrics(self.stack.streamer_port)
        workers = [await self._metrics(port) for port in self.stack.metrics_ports.values()]
        return Snapshot(at, epoch, used, machine_s, redis, streamer, workers, tally)

    async def forget_samples(self) -> None:
        """The profile, if there is one, begins here."""
        for name in self.stack.sampled:
            await self.stack.kill(name, signal.SIGUSR2)

    async def held(self) -> list[int]:
        """How many calls each worker holds."""
        beats = await registry.running(self._broker)
        return sorted((int(beat["calls"]) for beat in beats if beat["kind"] == "worker"), reverse=True)

    async def hops_since(self, epoch: float, calls: int) -> dict[str, list[float]]:
        """The ways through Redis in ms, once for each turn that was answered since then, by direction."""
        found: dict[str, list[float]] = {"in": [], "out": []}
        for number in range(calls):
            name = keys.transcript(f"load-{number:05}")
            for _, fields in await self._broker.range(name, f"{int(epoch * 1000)}"):
                entry = transcript.decode(fields)
                if isinstance(entry, transcript.TurnTimed):
                    for way, ms in entry.hops.items():
                        found[way].append(ms)
        return found

    async def _metrics(self, port: int) -> Samples:
        page = await self._client.get(f"http://127.0.0.1:{port}/metrics")
        return {
            f"{sample.name} {sample.labels['le']}" if "le" in sample.labels else sample.name: sample.value
            for family in text_string_to_metric_families(page.text)
            for sample in family.samples
        }

    async def _redis(self) -> Samples:
        info = await self._broker.execute("INFO", "everything")
        found: Samples = {}
        for name, value in info.items():
            if isinstance(value, dict) and "usec" in value:
                found |= {f"{name} calls": value["calls"], f"{name} usec": value["usec"]}
            elif isinstance(value, int | float):
                found[name] = value
        return found


@asynccontextmanager
async def system(work: Path, env: Mapping[str, str], *, workers: int, sampled: Path | None) -> AsyncIterator[System]:
    """All processes for the length of a block. Raises BenchError, ServiceDied, ServiceNotReady."""
    own = {name: value for name, value in env.items() if name in ("PATH", "LANG", "HOME", "TMPDIR")}
    async with partner("bench.scale.fakes", env=own) as providers:
        settings = {**await providers.line(), **env, "PYTHONPATH": str(TESTS)}
        stack = MeasuredStack(work, sampled=sampled, workers=workers, env=settings)
        async with stack, connect(stack.redis_url) as broker:
            where = {
                "gateway_url": stack.gateway_url,
                "streamer_url": stack.streamer_url,
                "secret": stack.webhook_secret,
            }
            async with partner("bench.scale.load", json.dumps(where), env=own) as load:
                running = System(stack, load, providers, broker)
                try:
                    yield running
                finally:
                    await running.aclose()
