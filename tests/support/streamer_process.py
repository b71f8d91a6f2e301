"""The streamer as the process that it is in production, and a worker's part towards it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from callbus import commands, keys, media
from callbus.broker import Broker
from callbus.claims import Claims, Lease, Waiting
from callbus.media import MediaEvent
from support.waiting import until

COMMAND = Path(sys.executable).parent / "streamer"
E = TypeVar("E")
_TAKEN: WeakKeyDictionary[Broker, dict[str, tuple[Claims, Waiting]]] = WeakKeyDictionary()
"""Calls that were taken from `calls:waiting` beside the one that was looked for, by their ids."""

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 20.0
FRAME = bytes(range(1, 161)) * 2
"""20 ms at 8000 Hz."""


@dataclass(slots=True)
class Streamer:
    """A running streamer on 127.0.0.1."""

    process: subprocess.Popen[bytes]
    port: int
    id: str
    stderr: Path
    calls_dir: Path

    def url(self, path: str = "/ws") -> str:
        return f"ws://127.0.0.1:{self.port}{path}"

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of a plain HTTP GET."""
        return await raw_request(self.port, f"GET {path} HTTP/1.1\r\nHost: streamer\r\n\r\n")

    async def metric(self, name: str) -> float:
        """One value off the metrics page."""
        _, page = await self.get("/metrics")
        lines = [line.split(" ") for line in page.splitlines() if not line.startswith("#")]
        return float(next(value for key, value in lines if key == f"streamer_{name}"))

    def logged(self) -> list[dict[str, Any]]:
        """What it has logged so far."""
        return [json.loads(line) for line in self.stderr.read_text().splitlines() if line.startswith("{")]


async def raw_request(port: int, request: str) -> tuple[int, str]:
    """Send these bytes, read until the server closes: status and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    answer = (await asyncio.wait_for(reader.read(), 10)).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split(" ")[1]), body


@contextmanager
def streamer(directory: Path, redis_url: str, **settings: str) -> Iterator[Streamer]:
    """Run the streamer for the length of a block, in `directory`; on SIGTERM it must end with exit code 0."""
    directory.mkdir(parents=True, exist_ok=True)
    stderr = directory / "stderr.log"
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    environment = {
        **kept,
        "LOG_FORMAT": "json",
        "REDIS_URL": redis_url,
        "STREAMER_HOST": "127.0.0.1",
        "STREAMER_PORT": "0",
        "CALLS_DIR": str(directory / "calls"),
        **settings,
    }
    with stderr.open("wb") as log:
        process = subprocess.Popen([COMMAND], cwd=directory, env=environment, stderr=log)
    try:
        listening = _until_listening(process, stderr)
        yield Streamer(process, listening["port"], listening["streamer"], stderr, directory / "calls")
    except BaseException:
        process.kill()
        process.wait()
        sys.stderr.write(stderr.read_text())
        raise
    process.terminate()
    try:
        assert process.wait(STOP_TIMEOUT_S) == 0, stderr.read_text()
    finally:
        process.kill()


def _until_listening(process: subprocess.Popen[bytes], stderr: Path) -> dict[str, Any]:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        assert process.poll() is None, stderr.read_text()
        for line in stderr.read_text().splitlines():
            if '"listening"' in line:
                listening: dict[str, Any] = json.loads(line)
                return listening
        time.sleep(0.02)
    raise AssertionError(f"the streamer did not start: {stderr.read_text()}")


class Worker:
    """A worker's part in one call: claims it, sends commands with its epoch, reads the call's stream."""

    def __init__(self, broker: Broker, call_id: str, lease: Lease | None = None) -> None:
        self.broker = broker
        self.call_id = call_id
        self.epoch = lease.epoch if lease else 0
        self._lease = lease
        self._claims: Claims | None = None

    @classmethod
    async def claim(cls, broker: Broker, call_id: str) -> Worker:
        """Take this call from `calls:waiting`; another that waits there is left to who asks for it."""
        own = Claims(broker, f"worker-of-{call_id}")
        await own.prepare()
        taken = _TAKEN.setdefault(broker, {})

        async def mine() -> tuple[Claims, Lease] | None:
            taken.update({waiting.call_id: (own, waiting) for waiting in await own.take_new(10, block_ms=10)})
            if call_id not in taken:
                return None
            claims, waiting = taken.pop(call_id)
            lease = await claims.begin(waiting)
            return (claims, lease) if lease else None

        claims, lease = await until(mine, what=f"call {call_id} waits for a worker")
        worker = cls(broker, call_id, lease)
        worker._claims = claims
        return worker

    async def finish(self, outcome: str = "completed") -> None:
        assert self._claims is not None
        assert self._lease is not None
        await self._claims.finish(self._lease, outcome=outcome)

    async def state(self) -> dict[str, str]:
        """The call's hash."""
        return await self.broker.hash(keys.call(self.call_id))

    async def send(self, command: commands.Command) -> None:
        streamer = (await self.state())["streamer"]
        sent = await self.broker.append(
            keys.commands(streamer), commands.encode(command), maxlen=keys.COMMANDS_MAXLEN, create=False
        )
        assert sent is not None, "the streamer has no command stream"

    async def speak(self, segment: str, pcm: bytes, *, last: bool = True, epoch: int | None = None) -> None:
        await self.send(commands.Speak(self.call_id, self.epoch if epoch is None else epoch, segment, pcm, last))

    async def events(self) -> list[MediaEvent]:
        """All that is on the call's stream."""
        return [media.decode(fields) for _, fields in await self.broker.range(keys.media_in(self.call_id))]

    async def told(self) -> list[MediaEvent]:
        """The same, without audio."""
        return [event for event in await self.events() if not isinstance(event, media.Audio)]

    async def until_told(self, kind: type[E], **fields: object) -> E:
        """The first event of this kind with these fields, as soon as it is there."""

        async def found() -> E | None:
            for event in await self.told():
                if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items()):
                    return event
            return None

        event: E = await until(found, what=f"{kind.__name__} {fields}")
        return event
