"""What the media server says of its call, beside the audio: which call it is, who is on it, that it begins or ends."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from callbus import keys, numbers
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from streamer import commands
from streamer.inbound import CallEnd, CallStart, Event, Metadata, Unreadable

METADATA_WAIT_S = 0.4
"""Metadata usually comes first, but audio can come before it; longer than this, a caller must not wait."""
METADATA_MAX_BYTES = 16 << 10
LOOK_AGAIN_S = 0.1
NOTE_EVERY_S = 0.2
"""A client that tells its metadata again and again has the newest kept that often."""
RETRY_S = 1.0

log = structlog.get_logger()


class Signalling:
    """One session's. Answers go to who has sent a `call_start`, for nobody else knows them.

    `wanted()` is whether the session is not over: afterwards Redis is not waited for.
    """

    def __init__(
        self,
        broker: Broker,
        *,
        call_id: str | None,
        send_text: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        wanted: Callable[[], bool],
    ) -> None:
        self.call_id = call_id
        """As the handshake had it, else None until `identify` has found it."""
        self._broker = broker
        self._send_text = send_text
        self._spawn = spawn
        self._told: asyncio.Future[Metadata | CallStart] = asyncio.get_running_loop().create_future()
        self._wanted = wanted
        self._metadata: Metadata | None = None
        """Told, and not kept yet."""
        self._keeping = asyncio.Lock()
        self._noting = False
        self._acknowledges = False

    def receive(self, event: Event) -> None:
        """The next that the media server sent, of whatever kind."""
        match event:
            case Metadata():
                self._metadata = _newest(self._metadata, event)
                if not self._told.done():
                    if event.call_id or (event.from_number and event.to_number):
                        self._told.set_result(event)
                elif self.call_id is not None and not self._noting:
                    self._noting = True
                    self._spawn(self._note_what_comes(self.call_id))
            case CallStart(call_id):
                self._acknowledges = True
                if self.call_id is not None:
                    self._send_text(commands.call_started(call_id or self.call_id))
                elif call_id and not self._told.done():
                    self._told.set_result(event)
            case CallEnd(call_id):
                if self._acknowledges:
                    self._send_text(commands.call_ended(call_id or self.call_id or ""))
            case Unreadable(reason):
                if self._acknowledges:
                    self._send_text(commands.error(reason))

    async def identify(self) -> str:
        """The call's id: the handshake's, else what is told in the first moments, else one of its own."""
        if self.call_id is not None:
            self._told.cancel()
            return self.call_id
        try:
            async with asyncio.timeout(METADATA_WAIT_S):
                found = await self._call_of(await self._told)
        except (TimeoutError, BusUnavailable):
            found = None
        self.call_id = found or f"media-{uuid.uuid4()}"
        if self._acknowledges:
            self._send_text(commands.call_started(self.call_id))
        return self.call_id

    async def note(self, call_id: str) -> None:
        """Keep the newest that was told so far in the call's hash, waiting out an outage; what comes later is kept by
        itself."""
        async with self._keeping:
            while (metadata := self._metadata) is not None:
                try:
                    await self._keep(call_id, metadata)
                except BusUnavailable:
                    if self._wanted():
                        await asyncio.sleep(RETRY_S)
                        continue
                if self._metadata is metadata:
                    self._metadata = None
                return

    async def _note_what_comes(self, call_id: str) -> None:
        try:
            while self._metadata is not None:
                await self.note(call_id)
                await asyncio.sleep(NOTE_EVERY_S)
        finally:
            self._noting = False

    async def _keep(self, call_id: str, metadata: Metadata) -> None:
        """What the media server told, and the call that it names, if that is another one, as `linked_call_id`."""
        linked = metadata.call_id
        if linked is None and metadata.from_number and metadata.to_number:
            linked = await numbers.linked(self._broker, metadata.from_number, metadata.to_number, to=call_id)
        # Half of a surrogate pair (a name cut in an emoji's middle, written as an escape) can't be encoded again.
        written = json.dumps(metadata.raw, ensure_ascii=False)
        text = written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        key = keys.call(call_id)
        parties = (("from_number", metadata.from_number), ("to_number", metadata.to_number))
        await self._broker.pipeline(
            [
                *(("HSETNX", key, name, number) for name, number in parties if number),
                *([("HSET", key, "metadata", text)] if len(text.encode()) <= METADATA_MAX_BYTES else []),
                *([("HSET", key, "linked_call_id", linked)] if linked and linked != call_id else []),
                ("EXPIRE", key, keys.CALL_TTL_S),
            ]
        )

    async def _call_of(self, message: Metadata | CallStart) -> str | None:
        if message.call_id or isinstance(message, CallStart):
            return message.call_id
        if message.from_number and message.to_number:
            return await self._call_between(message.from_number, message.to_number)
        return None

    async def _call_between(self, from_number: str, to_number: str) -> str | None:
        match = numbers.Match(None)
        try:
            while True:
                match = await numbers.claim(self._broker, from_number, to_number)
                if match.call_id is not None or not match.taken:
                    return match.call_id
                # Each has its media; one of them may have dropped this moment, and this be its return.
                await asyncio.sleep(LOOK_AGAIN_S)
        finally:
            if match.call_id is None:
                log.info(
                    "no live call between these numbers waits for its media",
                    from_number=from_number,
                    to_number=to_number,
                    taken=match.taken,
                )


def _newest(older: Metadata | None, newer: Metadata) -> Metadata:
    """What the newer one tells, and of the call what only the older one told."""
    if older is None:
        return newer
    return Metadata(
        newer.call_id or older.call_id,
        older.from_number or newer.from_number,
        older.to_number or newer.to_number,
        newer.raw,
    )
