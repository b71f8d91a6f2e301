"""How the delivery of each call's record stands: dead letters can be listed and sent again.

Plain keys: the hash `keys.outgoing(call_id)` (see Delivery for its fields) and the sorted set `keys.DEAD_LETTERS`. A
service that has no arq asks for a replay by publishing the lifecycle event `replay_asked(call_id)`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Literal, Self

from ai_worker.jobs.queue import JobQueue
from callbus import keys
from callbus.broker import Broker
from callbus.calls import LifecycleEvent

RESOURCE, REPLAY = "delivery", "replay"


@dataclass(frozen=True, slots=True)
class Delivery:
    """The delivery of one content. `digest` is the content's SHA-256, `again` the replay that it belongs to.

    Times are epoch seconds; `at` is the last change's, `next_at` the next try's (0: none is planned). `status` is the
    last answer's, "" if there was none. `url` is where the last try went, as it may be shown (see Webhook.shown_url).
    """

    digest: str
    state: Literal["trying", "delivered", "dead"] | str = "trying"
    again: str = ""
    first_at: float = 0.0
    at: float = 0.0
    next_at: float = 0.0
    tries: int = 0
    status: str = ""
    reason: str = ""
    url: str = ""

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Self | None:
        """From the hash; None for an empty one."""
        if "digest" not in fields:
            return None
        return cls(
            digest=fields["digest"],
            state=fields.get("state", "trying"),
            again=fields.get("again", ""),
            first_at=float(fields.get("first_at", 0)),
            at=float(fields.get("at", 0)),
            next_at=float(fields.get("next_at", 0)),
            tries=int(fields.get("tries", 0)),
            status=fields.get("status", ""),
            reason=fields.get("reason", ""),
            url=fields.get("url", ""),
        )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that the customer's webhook did not take, and how its delivery stands since."""

    call_id: str
    died_at: float
    delivery: Delivery

    @property
    def is_dead(self) -> bool:
        """False while it is being tried again."""
        return self.delivery.state == "dead"


async def known(broker: Broker, call_id: str) -> Delivery | None:
    """How the delivery of a call's record stands; None when there was none, or long ago."""
    return Delivery.of(await broker.hash(keys.outgoing(call_id)))


async def note(broker: Broker, call_id: str, delivery: Delivery) -> Delivery:
    """Write down how a delivery stands now."""
    now = time.time()
    delivery = replace(delivery, at=now)
    key = keys.outgoing(call_id)
    fields = [str(part) for pair in asdict(delivery).items() for part in pair]
    listing: list[tuple[object, ...]] = []
    if delivery.state == "dead":
        # Before the hash says so: who is lost in between tries once more, and loses no letter.
        listing = [
            ("ZADD", keys.DEAD_LETTERS, now, call_id),
            ("EXPIRE", keys.DEAD_LETTERS, keys.DEAD_LETTER_TTL_S),
        ]
    elif delivery.state == "delivered":
        listing = [("ZREM", keys.DEAD_LETTERS, call_id)]
    await broker.pipeline([*listing, ("HSET", key, *fields), ("EXPIRE", key, keys.DEAD_LETTER_TTL_S)])
    return delivery


async def drop(broker: Broker, call_id: str) -> None:
    """Forget about a record that is gone."""
    await broker.pipeline([("ZREM", keys.DEAD_LETTERS, call_id), ("DEL", keys.outgoing(call_id))])


async def count(broker: Broker) -> int:
    """How many letters `dead` lists."""
    too_old = time.time() - keys.DEAD_LETTER_TTL_S
    _, found = await broker.pipeline(
        [("ZREMRANGEBYSCORE", keys.DEAD_LETTERS, "-inf", too_old), ("ZCARD", keys.DEAD_LETTERS)]
    )
    return int(found)


async def dead(broker: Broker) -> list[DeadLetter]:
    """All dead letters, the oldest first. One that is being sent again stays listed until it is taken."""
    await count(broker)
    listed = await broker.execute("ZRANGE", keys.DEAD_LETTERS, 0, -1, "WITHSCORES")
    letters = []
    for member, died_at in zip(listed[::2], listed[1::2], strict=True):
        call_id = member.decode()
        delivery = await known(broker, call_id) or Delivery("", state="dead", reason="not known any more")
        letters.append(DeadLetter(call_id, float(died_at), delivery))
    return letters


async def replay(queue: JobQueue, call_id: str) -> bool:
    """Have a call's record, as it is now, delivered again, whatever became of it before; tries begin anew.

    False when that was asked already: what waits for its next try is tried now. Raises BusUnavailable and BadCallId.
    """
    return await queue.deliver_again(call_id)


async def replay_all(broker: Broker, queue: JobQueue) -> list[str]:
    """`replay` every dead letter; the calls' ids."""
    call_ids = [letter.call_id for letter in await dead(broker)]
    for call_id in call_ids:
        await replay(queue, call_id)
    return call_ids


def replay_asked(call_id: str) -> LifecycleEvent:
    """The event by which another service asks for `replay`: publish it with callbus.calls.publish."""
    return LifecycleEvent(RESOURCE, REPLAY, call_id, time.time())
