"""How many webhooks came, and why some were refused: of all gateways together, kept in Redis, off the requests' path.

Whoever floods the gateway with webhooks that are refused must not flood Redis: a second's are written at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from callbus import keys
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from callbus.masking import mask_text

WRITE_EVERY_S = 1.0
REASONS_KEPT = 20
LONGEST_REASON = 200

# KEYS: counts, reasons by time, how often each
# ARGV: ttl s, reasons kept, received, refused, since (epoch s), then reason, at (epoch s) and times of each
_WRITE = """
redis.call('HINCRBY', KEYS[1], 'received', ARGV[3])
redis.call('HINCRBY', KEYS[1], 'refused', ARGV[4])
redis.call('HSETNX', KEYS[1], 'since', ARGV[5])
for i = 6, #ARGV, 3 do
  redis.call('ZADD', KEYS[2], 'GT', ARGV[i + 1], ARGV[i])
  redis.call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 2])
end
for _, reason in ipairs(redis.call('ZRANGE', KEYS[2], 0, -tonumber(ARGV[2]) - 1)) do
  redis.call('ZREM', KEYS[2], reason)
  redis.call('HDEL', KEYS[3], reason)
end
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[1]) end
return 1
"""


@dataclass(slots=True)
class Tally:
    """What was seen. `reasons` has when each was last given (epoch s), and how often; the newest last."""

    received: int = 0
    refused: int = 0
    reasons: OrderedDict[str, tuple[float, int]] = field(default_factory=OrderedDict)

    def add_reason(self, reason: str, at: float, times: int) -> None:
        """Of many, the newest REASONS_KEPT stay."""
        before_at, before = self.reasons.get(reason, (at, 0))
        self.reasons[reason] = (max(at, before_at), before + times)
        self.reasons.move_to_end(reason)
        if len(self.reasons) > REASONS_KEPT:
            self.reasons.popitem(last=False)


class WebhookLog:
    """`note` every webhook; `run` it for as long as any come."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._unwritten = Tally()
        self._news = asyncio.Event()
        self._lock = asyncio.Lock()
        self._began = time.time()

    def note(self, refused_for: str = "") -> None:
        """A webhook was answered; it was refused if there is a reason."""
        tally = self._unwritten
        tally.received += 1
        if refused_for:
            tally.refused += 1
            # It may quote what a stranger sent: a number, or half of a surrogate pair, which can't be written.
            reason = mask_text(refused_for)[:LONGEST_REASON].encode(errors="replace").decode()
            tally.add_reason(reason, round(time.time(), 3), 1)
        self._news.set()

    async def run(self) -> None:
        """Write what is new, once a second at most, until cancelled; an outage of Redis is waited out."""
        while True:
            await self._news.wait()
            await asyncio.sleep(WRITE_EVERY_S)
            try:
                await self.write()
            except BusUnavailable:
                continue

    async def write(self) -> None:
        """Write what is new now. Raises BusUnavailable; then it is written the next time."""
        async with self._lock:
            tally, self._unwritten = self._unwritten, Tally()
            self._news.clear()
            if not tally.received:
                return
            reasons = [part for reason, (at, times) in tally.reasons.items() for part in (reason, at, times)]
            counts = [tally.received, tally.refused, round(self._began, 3)]
            try:
                await self._broker.script(_WRITE, _KEYS, [keys.WEBHOOKS_TTL_S, REASONS_KEPT, *counts, *reasons])
            except BaseException:
                self._take_back(tally)
                raise

    def _take_back(self, tally: Tally) -> None:
        newer, self._unwritten = self._unwritten, tally
        tally.received += newer.received
        tally.refused += newer.refused
        for reason, (at, times) in newer.reasons.items():
            tally.add_reason(reason, at, times)
        self._news.set()

    async def show(self) -> dict[str, Any]:
        """For the console: `received` and `refused_total` since `since` (epoch s), and the reasons, the newest first.

        While Redis is away, what this process has seen and not written yet (`shared` is false).
        """
        # Not while it is being written: then it would be counted twice, or not at all.
        async with self._lock:
            try:
                counts, listed, times = await self._broker.pipeline(
                    [
                        ("HGETALL", keys.WEBHOOKS),
                        ("ZREVRANGE", keys.WEBHOOKS_REFUSED, 0, REASONS_KEPT - 1, "WITHSCORES"),
                        ("HGETALL", keys.WEBHOOKS_REFUSED_TIMES),
                    ]
                )
            except BusUnavailable:
                return self._shown({}, Tally(), shared=False)
            seen = Tally()
            for reason, at in zip(listed[-2::-2], listed[::-2], strict=True):
                seen.add_reason(reason.decode(errors="replace"), float(at), int(times.get(reason, 0)))
            return self._shown(counts, seen, shared=True)

    def _shown(self, counts: dict[bytes, bytes], seen: Tally, *, shared: bool) -> dict[str, Any]:
        for reason, (at, times) in self._unwritten.reasons.items():
            seen.add_reason(reason, at, times)
        refused = [{"at": at, "reason": reason, "times": times} for reason, (at, times) in seen.reasons.items()]
        return {
            "received": int(counts.get(b"received", 0)) + self._unwritten.received,
            "refused_total": int(counts.get(b"refused", 0)) + self._unwritten.refused,
            "since": float(counts.get(b"since", self._began)),
            "refused": sorted(refused, key=lambda refusal: refusal["at"], reverse=True),
            "shared": shared,
        }


_KEYS = [keys.WEBHOOKS, keys.WEBHOOKS_REFUSED, keys.WEBHOOKS_REFUSED_TIMES]
