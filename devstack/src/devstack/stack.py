"""The whole system as real processes on this machine: started together, watched, and stopped without a trace."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from callbus import registry
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from devstack.errors import ServiceDied, ServiceNotReady
from devstack.ports import free_port
from devstack.processes import POLL_S, ManagedProcess

ROOT = Path(__file__).resolve().parents[3]
"""The repository."""

REDIS, GATEWAY, STREAMER, JOBS = "redis", "webhook-gateway", "streamer", "ai-jobs"

READY_TIMEOUT_S = 60.0
STOP_GRACE_S = 3.0

_INHERITED = (
    "PATH HOME USER LANG LC_ALL LC_CTYPE TZ TMPDIR TMP TEMP SYSTEMROOT VIRTUAL_ENV LD_LIBRARY_PATH DYLD_LIBRARY_PATH "
    "SSL_CERT_FILE SSL_CERT_DIR PYTHONWARNINGS PYTHONASYNCIODEBUG COVERAGE_PROCESS_START OMP_NUM_THREADS"
).split()


@dataclass(frozen=True, slots=True)
class _Service:
    process: ManagedProcess
    ready: Callable[[], Awaitable[bool]]


class LocalStack:
    """Redis, gateway, streamer, workers and jobs; `async with` starts them and waits until all are ready.

    `directory` holds logs and Redis' files, and is the services' working directory. Ports that are not given are free
    ones. `env` is added to every service's environment. A `sealed` stack sees neither this machine's settings nor a
    `.env` file: no key of its owner is ever used. At the end every process gets SIGTERM, and SIGKILL `stop_grace` s
    later, whatever calls it holds. `on_line` gets every service's output, line by line, from threads; `on_progress` one
    line for each step of the start.

    Names of the processes: `redis`, `webhook-gateway`, `streamer`, `ai-jobs`, `ai-worker-1`, `ai-worker-2`, …

    Entering raises ServiceDied or ServiceNotReady with the last lines of the log in question.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 1,
        gateway_port: int | None = None,
        streamer_port: int | None = None,
        redis_port: int | None = None,
        calls_dir: Path | None = None,
        env: Mapping[str, str] | None = None,
        sealed: bool = True,
        durable_redis: bool = False,
        stop_grace: float = STOP_GRACE_S,
        on_line: Callable[[str, str], None] | None = None,
        on_progress: Callable[[str], None] | None = None,
    ) -> None:
        self.directory = directory.resolve()
        self.calls_dir = (calls_dir or directory / "calls").resolve()
        self.gateway_port = gateway_port or free_port()
        self.streamer_port = streamer_port or free_port()
        self.redis_port = redis_port or free_port()
        self.redis_url = f"redis://127.0.0.1:{self.redis_port}/0"
        self.gateway_url = f"http://127.0.0.1:{self.gateway_port}"
        self.streamer_url = f"ws://127.0.0.1:{self.streamer_port}/ws"
        added = dict(env or {})
        self.webhook_secret = added.setdefault("RINGOVER_WEBHOOK_SECRET", secrets.token_urlsafe(24))
        self.admin_token = added.setdefault("ADMIN_TOKEN", secrets.token_urlsafe(24))
        self.streamer_token = added.get("STREAMER_TOKEN", "")
        if sealed:
            # A language model that a test scripted for a conversation is not asked for a summary of it.
            added.setdefault("CALLS_SUMMARY", "false")
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ} if sealed else os.environ
        self._env = {
            **inherited,
            "PYTHONUNBUFFERED": "1",
            "AGENTS_DIR": str(ROOT / "agents"),
            **added,
            "REDIS_URL": self.redis_url,
            "GATEWAY_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.gateway_port),
            "STREAMER_HOST": "127.0.0.1",
            "STREAMER_PORT": str(self.streamer_port),
            "CALLS_DIR": str(self.calls_dir),
        }
        self._cwd = self.directory if sealed else ROOT
        self._workers, self._durable, self._stop_grace = workers, durable_redis, stop_grace
        self._on_line, self._on_progress = on_line, on_progress
        self._services: dict[str, _Service] = {}
        self._worker_count = 0
        self._began = 0.0

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    @property
    def names(self) -> list[str]:
        """The processes that were started, by name."""
        return list(self._services)

    def process(self, name: str) -> ManagedProcess:
        """One process: its pid, its log, whether it runs."""
        return self._services[name].process

    def check(self) -> None:
        """Raises ServiceDied when a process is not running."""
        for name in self._services:
            self._check(name)

    async def start_worker(self) -> str:
        """One more worker, once it is ready; its name."""
        name = self._add_worker()
        self.process(name).start()
        await self.wait_ready(name)
        return name

    async def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal a process and its children; after SIGKILL it is gone when this returns."""
        process = self.process(name)
        process.send(number)
        if number == signal.SIGKILL:
            await process.wait(5.0)

    async def remove(self, name: str) -> bool:
        """Stop a process as a deploy does, and forget it; whether it left by itself within the stop's grace."""
        return await self._services.pop(name).process.stop(self._stop_grace)

    async def restart(self, name: str) -> None:
        """Stop a process, if it runs, and start it again on the same port; ready when this returns."""
        process = self.process(name)
        await process.stop(self._stop_grace)
        process.start()
        await self.wait_ready(name)

    async def wait_ready(self, *names: str, timeout: float = READY_TIMEOUT_S) -> None:
        """Until these processes are ready. Raises ServiceDied, ServiceNotReady."""
        deadline = time.monotonic() + timeout
        missing = list(names)
        while missing:
            for name in list(missing):
                self._check(name)
                if await self._services[name].ready():
                    missing.remove(name)
                    self._progress(f"{name} is ready")
            if missing and time.monotonic() >= deadline:
                raise ServiceNotReady(
                    f"{missing[0]} is not ready after {timeout:.0f} s. The last lines of its log "
                    f"({self.process(missing[0]).log}):\n{self.process(missing[0]).tail()}"
                )
            await asyncio.sleep(2 * POLL_S)

    async def _start(self) -> None:
        self._began = time.monotonic()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.calls_dir.mkdir(parents=True, exist_ok=True)
        redis = [sys.executable, "-m", "devstack.embedded_redis", str(self.directory / "redis")]
        redis += ["--port", str(self.redis_port), *(["--durable"] if self._durable else [])]
        # Not SIGKILL: the server is that process's child, and is stopped by it.
        self._add(REDIS, redis, self._redis_ready, orphaned=signal.SIGTERM).start()
        await self.wait_ready(REDIS)
        self._add(GATEWAY, [_command(GATEWAY)], lambda: _http_ready(self.gateway_url)).start()
        self._add(STREAMER, [_command(STREAMER)], lambda: _http_ready(f"http://127.0.0.1:{self.streamer_port}")).start()
        self._add(JOBS, [_command(JOBS)], lambda: self._beats("jobs", JOBS)).start()
        for _ in range(self._workers):
            self.process(self._add_worker()).start()
        await self.wait_ready(*(name for name in self._services if name != REDIS))

    async def _stop(self) -> None:
        redis = self._services.pop(REDIS, None)
        try:
            await asyncio.gather(*(service.process.stop(self._stop_grace) for service in self._services.values()))
        finally:
            if redis is not None:
                await redis.process.stop(self._stop_grace)
            self._services.clear()

    def _add(
        self,
        name: str,
        argv: list[str],
        ready: Callable[[], Awaitable[bool]],
        *,
        orphaned: signal.Signals = signal.SIGKILL,
    ) -> ManagedProcess:
        log = self.directory / "logs" / f"{name}.log"
        process = ManagedProcess(
            name, argv, env=self._env, cwd=self._cwd, log=log, on_line=self._on_line, orphaned=orphaned
        )
        self._services[name] = _Service(process, ready)
        return process

    def _add_worker(self) -> str:
        self._worker_count += 1
        name = f"ai-worker-{self._worker_count}"
        self._add(name, [_command("ai-worker")], lambda: self._beats("worker", name))
        return name

    def _check(self, name: str) -> None:
        process = self.process(name)
        if not process.running:
            raise ServiceDied(
                f"{name} ended with exit code {process.exit_code}. The last lines of its log ({process.log}):\n"
                f"{process.tail()}"
            )

    def _progress(self, line: str) -> None:
        if self._on_progress is not None:
            self._on_progress(f"{line} ({time.monotonic() - self._began:.1f} s)")

    async def _redis_ready(self) -> bool:
        broker = Broker(self.redis_url, timeout=1.0)
        try:
            await broker.ping()
        except BusUnavailable:
            return False
        finally:
            await broker.aclose()
        return True

    async def _beats(self, kind: str, name: str) -> bool:
        broker = Broker(self.redis_url, timeout=1.0)
        try:
            beats = await registry.running(broker)
        except BusUnavailable:
            return False
        finally:
            await broker.aclose()
        # A service's id carries its pid, so that a predecessor's last beat is not taken for this one's.
        own = f"-{self.process(name).pid}-"
        return any(beat["kind"] == kind and own in beat["id"] and beat.get("ready", True) for beat in beats)


def _command(name: str) -> str:
    """A console command of this environment, whatever the PATH says."""
    return str(Path(sys.executable).with_name(name))


async def _http_ready(base: str) -> bool:
    async with httpx.AsyncClient(trust_env=False, timeout=1.0) as client:
        try:
            return (await client.get(f"{base}/ready")).is_success
        except httpx.HTTPError:
            return False
