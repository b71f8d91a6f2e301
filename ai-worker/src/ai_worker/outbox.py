"""One call's way out to Redis: transcript entries and commands, in order, outliving an outage."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from callbus import commands, keys, transcript
from callbus.broker import Broker, until_available, xadd

if TYPE_CHECKING:
    from callbus.otlp import Span

_MOST = 2_000


class OutboxFull(Exception):
    """Redis has been away for so long that a call's messages no longer fit."""


class Outbox:
    """Takes what is to be sent; `run` sends it. The call's streamer may change at any time.

    What Redis may have got, and did not say so, is sent again: the streamer knows commands by their numbers, and who
    reads a transcript knows entries by what they are about.
    """

    def __init__(self, broker: Broker, call_id: str) -> None:
        self._broker = broker
        self._call_id = call_id
        self._waiting: list[tuple[Any, ...]] = []
        self._commands = 0
        self._wake = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._shown: tuple[str, bool] | None = None
        self.streamer = ""

    def send(self, command: commands.Command, span: Span | None = None) -> None:
        """`span` is the work that the streamer's part in it belongs to, where calls are traced."""
        self._commands += 1
        fields = commands.encode(command, self._commands)
        if span:
            fields |= span.carry()
        self._put(
            xadd(
                keys.commands(self.streamer),
                fields,
                maxlen=keys.COMMANDS_MAXLEN,
                # A streamer that is gone must not get its stream back.
                create=False,
            )
        )

    def write(self, entry: transcript.Entry) -> None:
        name = keys.transcript(self._call_id)
        self._put(xadd(name, transcript.encode(entry), maxlen=keys.TRANSCRIPT_MAXLEN))
        self._put(("EXPIRE", name, keys.CALL_TTL_S))

    def show(self, doing: str, *, muted: bool, now: float) -> None:
        """Let people who watch know what the bot does, in the call's hash. Costs nothing while that stays the same."""
        if (doing, muted) != self._shown:
            self._shown = doing, muted
            name = keys.call(self._call_id)
            self._put(("HSET", name, "doing", doing, "doing_at", f"{now:.3f}", "muted", int(muted)))
            self._put(("EXPIRE", name, keys.CALL_TTL_S))

    async def run(self) -> None:
        """Send until cancelled; what was taken up is sent whole."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch, self._waiting = self._waiting, []
                replies = await until_available(partial(self._broker.burst, batch))
                if refused := next((reply for reply in replies if isinstance(reply, Exception)), None):
                    raise refused
            self._empty.set()

    async def flushed(self) -> None:
        """Wait until everything put so far is in Redis."""
        await self._empty.wait()

    def _put(self, command: tuple[Any, ...]) -> None:
        if len(self._waiting) >= _MOST:
            raise OutboxFull(f"call {self._call_id}: {_MOST} messages wait for Redis")
        self._waiting.append(command)
        self._empty.clear()
        self._wake.set()
