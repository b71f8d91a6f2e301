"""Looks after the running calls once a second: are they served, does Redis still know them, do their keys live on."""

from __future__ import annotations

import asyncio
import time

from callbus import keys, registry, sessions
from callbus.errors import BusUnavailable
from streamer.context import Context
from streamer.session import MediaSession

LOOK_EVERY_S = 1.0
RENEW_EVERY_S = 60.0


class Caretaker:
    """One for all calls of the streamer: two round trips a second, however many they are."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._renewed = time.monotonic()

    async def run(self) -> None:
        """Look after the calls until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            calls = {call_id: session for call_id, session in self._context.by_call.items() if session.state == "live"}
            try:
                if calls:
                    await self._look(calls)
                    await self._renew(calls)
                if knocked := self._context.over.untold():
                    await sessions.knocked(self._context.broker, knocked)
            except BusUnavailable:
                pass  # Nobody can serve a call without Redis: what follows holds.
            for session in calls.values():
                lost_after_s = self._context.settings.fallback_lost_after_s
                if session.state == "live" and time.time() - session.bot.served_at > lost_after_s:
                    session.bot.fall_back(session.call_id, "no living worker")

    async def _look(self, calls: dict[str, MediaSession]) -> None:
        broker = self._context.broker
        workers = {beat["id"].encode() for beat in await registry.running(broker) if beat["kind"] == "worker"}
        rows = await broker.burst([("HMGET", keys.call(name), "conversation", "worker", "outcome") for name in calls])
        now = time.time()
        for session, row in zip(calls.values(), rows, strict=True):
            if session.state != "live":
                continue
            match row:
                case [b"finished", _, outcome]:
                    session.conversation_finished()
                    if outcome == b"failed":
                        session.bot.fall_back(session.call_id, "the conversation failed")
                    elif outcome is not None and outcome.decode() in sessions.OVER:
                        # Who came back in the moment of the call's end is let go.
                        session.end("over")
                    session.bot.served_at = now
                case [b"active", worker, _] if worker in workers:
                    session.bot.served_at = now
                case [None, _, _]:
                    session.enter_again()
            if session.feed.lost:
                session.feed.lost = False
                session.enter_again()

    async def _renew(self, calls: dict[str, MediaSession]) -> None:
        if time.monotonic() - self._renewed >= RENEW_EVERY_S:
            self._renewed = time.monotonic()
            await self._context.broker.burst(
                [
                    command
                    for name in calls
                    for command in (
                        ("EXPIRE", keys.media_in(name), keys.MEDIA_TTL_S),
                        ("EXPIRE", keys.call(name), keys.CALL_TTL_S),
                    )
                ]
            )
