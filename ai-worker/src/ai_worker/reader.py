"""Reads the in streams of all calls that this worker holds: one XREAD and one voice-activity batch for them all."""

from __future__ import annotations

import asyncio
import time

import structlog

from ai_worker.audio_way import AudioWay
from ai_worker.call import CallTask
from ai_worker.vad import VadService
from callbus import keys, media
from callbus.broker import Broker
from callbus.errors import BadMessage, BusUnavailable
from callbus.hotline import HotLine, RawEntry
from callbus.pcm import SAMPLE_BYTES

SHORTEST_PERIOD_S = 0.001
PERIOD_PER_CALL_S = 0.0003
LONGEST_PERIOD_S = 0.018
"""Often enough to be no delay, seldom enough that many calls' chunks come in one answer."""
MANY_CALLS = 8
"""From so many calls on there is something to read at every look."""
BLOCK_MS = 50
"""A call that is added waits no longer than this to be read."""

log = structlog.get_logger()


class MediaReader:
    """`add` and `remove` calls while `run` reads."""

    def __init__(self, broker: Broker, vad: VadService, audio_way: AudioWay) -> None:
        self._broker = broker
        self._vad = vad
        self._audio_way = audio_way
        self._calls: dict[str, CallTask] = {}
        self._positions: dict[str, bytes] = {}
        self._any = asyncio.Event()

    def add(self, call: CallTask, after: bytes) -> None:
        """Read this call's stream from the entry that follows `after`."""
        name = keys.media_in(call.lease.call_id)
        self._calls[name] = call
        self._positions[name] = after
        self._any.set()

    def remove(self, call: CallTask) -> None:
        name = keys.media_in(call.lease.call_id)
        if self._calls.get(name) is call:
            del self._calls[name], self._positions[name]
            self._audio_way.forget(name)
        if not self._calls:
            self._any.clear()

    async def run(self) -> None:
        """Read until cancelled; an outage of Redis is waited out."""
        loop = asyncio.get_running_loop()
        line = self._broker.hot_line()
        try:
            while True:
                await self._any.wait()
                begun = loop.time()
                try:
                    await self._read(line)
                except BusUnavailable:
                    await asyncio.sleep(0.1)
                period = min(LONGEST_PERIOD_S, SHORTEST_PERIOD_S + PERIOD_PER_CALL_S * len(self._calls))
                await asyncio.sleep(max(0.0, begun + period - loop.time()))
        finally:
            await line.aclose()

    async def _read(self, line: HotLine) -> None:
        # A reading that waits is answered with the first entry that comes, not with what is written together with it.
        block_ms = BLOCK_MS if len(self._calls) < MANY_CALLS else None
        reply = await line.read(self._positions, count=200, block_ms=block_ms)
        heard: dict[CallTask, bytes] = {}
        for name, entries in reply:
            call = self._calls.get(name)
            if call is None:
                continue
            self._positions[name] = entries[-1][0]
            try:
                pcm = self._take_in(name, call, entries)
            except Exception as error:
                # A fault in one call is no other call's.
                call.fail(error)
                continue
            if pcm:
                heard[call] = pcm
        if not heard:
            return
        verdicts = await self._vad.process({call.hearing.vad: pcm for call, pcm in heard.items()})
        for call in heard:
            try:
                for at_ms, probability in verdicts[call.hearing.vad]:
                    call.judge(at_ms, probability)
            except Exception as error:
                call.fail(error)
        self._audio_way.told(time.time())

    def _take_in(self, name: str, call: CallTask, entries: list[RawEntry]) -> bytes:
        """Hand these entries to their call; the audio in them, to be judged (s16le mono)."""
        pieces = []
        for entry_id, fields in entries:
            try:
                event = media.decode_raw(fields)
                if lost := self._audio_way.arrived(name, event, call.hearing.sample_rate):
                    event = call.mend(event, lost)
                if pcm := call.receive(entry_id, event):
                    pieces.append(pcm)
            except BadMessage as error:
                log.error("unreadable media event", call_id=call.lease.call_id, turn=call.turn, error=str(error))
        audio = b"".join(pieces)
        if len(audio) % SAMPLE_BYTES:
            raise BadMessage(f"audio of {len(audio)} bytes: no whole number of 16-bit samples")
        return audio
