"""A customer's webhook: answers as it is scripted, and judges as its owner would."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from support.tools_api import Asked, ToolApi, reply, tool_api

SECRET = "a customer's secret"
RESET, HANG = b"reset", b"hang"


def status(line: str, *, more: str = "", body: bytes = b"{}") -> bytes:
    return reply(body, status=line, more=more)


OK = status("200 OK")
UNAVAILABLE = status("503 Service Unavailable")


@dataclass(slots=True)
class Receiver:
    """`api.asked` are the posts so far; `script` is answered one by one, then OK for ever. `HANG` waits for `go_on`."""

    api: ToolApi
    script: list[bytes]
    go_on: asyncio.Event

    @property
    def url(self) -> str:
        return f"{self.api.url}/calls"

    @property
    def keys(self) -> list[str]:
        return [asked.headers["idempotency-key"] for asked in self.api.asked]

    @property
    def bodies(self) -> list[bytes]:
        return [asked.body for asked in self.api.asked]


def is_signed(asked: Asked, secret: str = SECRET) -> bool:
    """By the words of docs/jobs.md: HMAC-SHA256 in hex over the timestamp, a full stop and the body."""
    signed = asked.headers["x-timestamp"].encode() + b"." + asked.body
    return asked.headers["x-signature"] == hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


@asynccontextmanager
async def receiver(script: Sequence[bytes] = ()) -> AsyncIterator[Receiver]:
    """A receiver on a free port of this machine."""
    async with tool_api() as api:
        made = Receiver(api, list(script), asyncio.Event())

        async def answer(_asked: Asked, writer: asyncio.StreamWriter) -> None:
            scripted = made.script.pop(0) if made.script else OK
            if scripted == HANG:
                await made.go_on.wait()
                scripted = OK
            if scripted == RESET:
                writer.transport.abort()
                return
            writer.write(scripted)

        api.answer = answer
        yield made
