"""Follows all active calls for all browsers at once: one look at Redis, many server-sent streams."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import structlog

from callbus import calls, keys
from callbus.broker import Broker, StreamEntry
from callbus.errors import BusUnavailable
from webhook_gateway import calls_view
from webhook_gateway.console.call_view import Tally, line

LOOK_EVERY_S = 0.2
STILL_HERE_S = 15.0
MOST_WAITING = 1000
"""Events that a browser may be behind; one that is slower is cut off, and comes back for a new snapshot."""
MOST_CALLS = 500
MOST_BROWSERS = 100
LAST_WORDS_S = 3.0
"""A call that is over is followed for so long, if its conversation does not say that it is."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Call:
    position: bytes
    """The last entry of its transcript that was read."""
    tally: Tally = field(default_factory=Tally)
    shown: dict[str, Any] = field(default_factory=dict)
    over_at: float | None = None
    finished: bool = False


@dataclass(frozen=True, slots=True)
class _Message:
    call_id: str
    text: bytes
    entry_id: tuple[int, int] | None = None


@dataclass(slots=True, eq=False)
class _Browser:
    call_id: str | None
    queue: asyncio.Queue[_Message]
    slow: bool = False


class Live:
    """`run` it for as long as `events` are to be had. It asks nothing of Redis while nobody watches."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._calls: dict[str, _Call] = {}
        self._news = b"0-0"
        self._browsers: set[_Browser] = set()
        self._watched = asyncio.Event()
        self._known = asyncio.Event()
        self._closing = asyncio.Event()

    @property
    def full(self) -> bool:
        return len(self._browsers) >= MOST_BROWSERS

    async def run(self) -> None:
        """Follow the calls until cancelled; an outage of Redis is waited out."""
        while True:
            await self._watched.wait()
            try:
                if not self._known.is_set():
                    await self._begin()
                await self._look()
            except BusUnavailable:
                await asyncio.sleep(1.0)
            await asyncio.sleep(LOOK_EVERY_S)

    def close(self) -> None:
        """End every stream: the process stops."""
        self._closing.set()

    # --- what a browser is sent

    async def events(self, call_id: str | None) -> AsyncIterator[bytes]:
        """The stream of one browser: all calls', or one call's with all that was said in it so far."""
        browser = _Browser(call_id, asyncio.Queue(MOST_WAITING))
        if not self._browsers:
            # What was known when the last one left is old.
            self._known.clear()
        self._browsers.add(browser)
        self._watched.set()
        closing = asyncio.create_task(self._closing.wait())
        try:
            # At once, so that the browser knows that it is connected.
            yield b": welcome\n\n"
            await _first(closing, self._known.wait())
            seen = (0, 0)
            if self._known.is_set():
                async for text, entry_id in self._beginning(call_id):
                    seen = max(seen, entry_id)
                    yield text
            while not browser.slow:
                message = await _first(closing, browser.queue.get(), timeout=STILL_HERE_S)
                if closing.done():
                    return
                if message is None:
                    yield b": still here\n\n"
                elif call_id is None or message.entry_id is None or message.entry_id > seen:
                    yield message.text
        finally:
            closing.cancel()
            self._browsers.discard(browser)
            if not self._browsers:
                self._watched.clear()

    async def _beginning(self, call_id: str | None) -> AsyncIterator[tuple[bytes, tuple[int, int]]]:
        if call_id is None:
            yield _event("snapshot", {"calls": [call.shown for call in self._calls.values() if call.shown]}), (0, 0)
            return
        try:
            call = await calls_view.detail(self._broker, call_id)
        except BusUnavailable:
            call = None
        entries = call.pop("transcript") if call else []
        tally = Tally()
        for entry in entries:
            tally.add(entry)
        yield _event("snapshot", {"calls": [line(call, tally)] if call else []}), (0, 0)
        for entry in entries:
            yield _event("entry", {"call_id": call_id, "entry": entry}), _id(entry["id"].encode())

    def _send(self, call_id: str, name: str, data: dict[str, Any], entry_id: bytes | None = None) -> None:
        message = _Message(call_id, _event(name, data), _id(entry_id) if entry_id else None)
        for browser in self._browsers:
            if browser.call_id not in (None, call_id) or browser.slow:
                continue
            try:
                browser.queue.put_nowait(message)
            except asyncio.QueueFull:
                browser.slow = True
                log.info("a browser is too slow for the live view; it may come again")

    # --- what happens in the calls

    async def _begin(self) -> None:
        self._calls.clear()
        self._news = await self._broker.last_id(keys.EVENTS)
        for call in await calls_view.listing(self._broker, limit=MOST_CALLS, state="active"):
            watched = self._calls[call["call_id"]] = _Call(b"0-0")
            for entry_id, fields in await self._broker.range(keys.transcript(call["call_id"])):
                watched.position = entry_id
                watched.tally.add(calls_view.entry(entry_id, fields))
            watched.shown = line(call, watched.tally)
        self._known.set()

    async def _look(self) -> None:
        names = {keys.transcript(call_id): call_id for call_id in self._calls}
        positions = {name: self._calls[call_id].position for name, call_id in names.items()}
        found = await self._broker.read({keys.EVENTS: self._news, **positions}, count=500)
        for entry_id, fields in found.pop(keys.EVENTS, []):
            self._news = entry_id
            call_id = fields.get(b"call_id", b"").decode(errors="replace")
            if call_id and len(self._calls) < MOST_CALLS:
                self._calls.setdefault(call_id, _Call(b"0-0"))
        for name, entries in found.items():
            self._heard(names[name], entries)
        hashes = await self._broker.pipeline([("HGETALL", keys.call(call_id)) for call_id in self._calls])
        for (call_id, call), fields in zip(list(self._calls.items()), hashes, strict=True):
            # Whoever was over at the last look, has been read to the end by this one.
            over_for = time.monotonic() - call.over_at if call.over_at is not None else 0.0
            if call.finished or over_for > LAST_WORDS_S:
                self._gone(call_id)
            else:
                self._seen(
                    call_id, call, {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
                )

    def _heard(self, call_id: str, entries: list[StreamEntry]) -> None:
        call = self._calls[call_id]
        for entry_id, fields in entries:
            call.position = entry_id
            entry = calls_view.entry(entry_id, fields)
            call.tally.add(entry)
            self._send(call_id, "entry", {"call_id": call_id, "entry": entry}, entry_id)

    def _seen(self, call_id: str, call: _Call, fields: dict[str, str]) -> None:
        active = calls.is_active(fields)
        if not active and not call.shown:
            # An event about a call that is over, or is none.
            del self._calls[call_id]
            return
        if not active:
            call.over_at = call.over_at or time.monotonic()
            call.finished = fields.get("conversation") in (None, "finished")
        else:
            call.over_at = None
        shown = line(calls_view.typed(call_id, fields), call.tally) if fields else {**call.shown, "state": "ended"}
        if shown != call.shown:
            call.shown = shown
            self._send(call_id, "call", shown)

    def _gone(self, call_id: str) -> None:
        del self._calls[call_id]
        self._send(call_id, "gone", {"call_id": call_id})


async def _first(closing: asyncio.Task[Any], wanted: Any, *, timeout: float | None = None) -> Any:
    """What `wanted` comes to; None when `closing` is over first, or after `timeout` s."""
    task = asyncio.ensure_future(wanted)
    try:
        await asyncio.wait({closing, task}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode(
        errors="replace"
    )


def _id(entry_id: bytes) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition(b"-")
    return int(milliseconds), int(sequence or 0)
