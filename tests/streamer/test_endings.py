"""The ends of sessions are told, however long Redis is away, in bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from callbus import calls, keys, media, sessions
from callbus.broker import Broker
from callbus.errors import BusUnavailable
from streamer import endings
from streamer.bus import Outbox
from streamer.endings import Ending, Endings, settled
from streamer.feed import Feed
from streamer.metrics import Counters
from support.waiting import until

FRAME = b"\x01\x02" * 160


class Flaky(Broker):
    """A Redis that is away until it is said to be `there`."""

    there = True
    asked = 0
    answers_waited_for = 0

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.answers = asyncio.Event()
        self.answers.set()

    async def script(self, source: str, keys: list[str], args: list[Any]) -> Any:
        self.asked += 1
        self._check(self.there)
        return await super().script(source, keys, args)

    async def burst(self, commands: Any) -> list[Any]:
        there = self.there
        self.answers_waited_for += 1
        await self.answers.wait()
        self._check(there)
        return await super().burst(commands)

    def _check(self, there: bool) -> None:
        if not there:
            raise BusUnavailable("away")


class Streamer:
    """What tells the ends: its tasks, and its outbox that writes all the time."""

    def __init__(self, redis_url: str) -> None:
        self.broker = Flaky(redis_url)
        self.counters = Counters()
        self.outbox = Outbox(self.broker, self.counters, lambda _: None)
        self.tasks: list[asyncio.Task[None]] = []
        self.endings = Endings(self.broker, self.outbox, "st-1", self.counters, self.spawn)
        self.writing = asyncio.create_task(self.outbox.run())

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]

    async def attach(self, call_id: str) -> Feed:
        await sessions.attach(self.broker, call_id, streamer="st-1", session=f"s-{call_id}", sample_rate=8000)
        feed = Feed()
        feed.open(call_id)
        return feed

    def end(self, call_id: str, feed: Feed) -> None:
        self.spawn(self.endings.tell(Ending(call_id, f"s-{call_id}", "closed"), feed))

    async def told(self, call_id: str) -> list[media.MediaEvent]:
        return [media.decode(fields) for _, fields in await self.broker.range(keys.media_in(call_id))]

    async def done(self) -> None:
        while not all(task.done() for task in self.tasks):
            await asyncio.wait(self.tasks)


@pytest.fixture
async def streamer(broker: Broker, redis_url: str) -> AsyncIterator[Streamer]:
    streamer = Streamer(redis_url)
    yield streamer
    for task in (streamer.writing, *streamer.tasks):
        task.cancel()
    await asyncio.gather(streamer.writing, *streamer.tasks, return_exceptions=True)
    await streamer.broker.aclose()


async def test_the_end_comes_after_the_last_words_and_is_published(streamer: Streamer) -> None:
    feed = await streamer.attach("c1")
    feed.audio(0.0, 0, FRAME)
    feed.event(media.Dtmf(1.0, "5"))
    streamer.end("c1", feed)
    await streamer.done()
    assert [type(event) for event in await streamer.told("c1")] == [
        media.MediaStarted,
        media.Audio,
        media.Dtmf,
        media.MediaEnded,
    ]
    [event] = [calls.LifecycleEvent.from_fields(fields) for _, fields in await streamer.broker.range(keys.EVENTS)]
    assert (event.event, event.data) == ("ended", {"session": "s-c1", "streamer": "st-1", "reason": "closed"})
    assert streamer.counters.sessions_ended == 1


async def test_ends_outlast_the_words_and_are_told_one_after_the_other(
    streamer: Streamer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "LAST_WORDS_S", 0.1)
    feeds = {f"c{number}": await streamer.attach(f"c{number}") for number in range(50)}
    never = Feed()
    streamer.broker.there = False
    streamer.broker.asked = 0
    for call_id, feed in feeds.items():
        feed.event(media.Dtmf(1.0, "5"))
        streamer.end(call_id, feed)
    streamer.end("never-joined", never)
    await until(lambda: _over(streamer, 51))
    await until(lambda: streamer.broker.asked >= 5)
    # Redis is asked by one.
    assert streamer.broker.asked < 20
    streamer.broker.there = True
    await streamer.done()
    for call_id in feeds:
        assert [type(event) for event in await streamer.told(call_id)] == [media.MediaStarted, media.MediaEnded]
    assert (streamer.counters.sessions_ended, streamer.counters.endings_untold) == (50, 0)
    assert await streamer.broker.hash(keys.call("never-joined")) == {}


async def test_who_waits_beyond_the_bound_is_given_up_the_oldest_first(
    streamer: Streamer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endings, "MOST_ENDINGS", 3)
    for number in range(6):
        await streamer.attach(f"c{number}")
    streamer.broker.there = False
    for number in range(6):
        await streamer.endings.tell(Ending(f"c{number}", f"s-c{number}", "closed"), Feed())
        await asyncio.sleep(0)
    streamer.broker.there = True
    await streamer.done()
    ended = [number for number in range(6) if (await streamer.told(f"c{number}"))[1:]]
    # The first one is being told.
    assert ended == [0, 3, 4, 5]
    assert streamer.counters.endings_untold == 2


async def test_what_is_not_told_when_the_streamer_ends_is_counted(streamer: Streamer) -> None:
    streamer.broker.there = False
    for number in range(3):
        await streamer.endings.tell(Ending(f"c{number}", "s", "closed"), Feed())
    await asyncio.sleep(0)
    streamer.tasks[0].cancel()
    await asyncio.wait(streamer.tasks)
    assert streamer.counters.endings_untold == 3


async def test_what_is_given_up_while_it_is_being_written_is_not_written_again(streamer: Streamer) -> None:
    feed, other = await streamer.attach("c1"), await streamer.attach("c2")
    streamer.broker.there = False
    streamer.broker.answers.clear()
    for told in (feed, other):
        told.event(media.Dtmf(1.0, "5"))
        streamer.outbox.mark(told)
    await until(lambda: streamer.broker.answers_waited_for > 0)
    streamer.outbox.discard(feed)
    streamer.broker.there = True
    streamer.broker.answers.set()
    await streamer.outbox.flushed()
    assert [type(event) for event in await streamer.told("c1")] == [media.MediaStarted]
    assert [type(event) for event in await streamer.told("c2")] == [media.MediaStarted, media.Dtmf]


async def test_what_takes_too_long_to_settle_is_cancelled() -> None:
    quick, stuck = asyncio.create_task(asyncio.sleep(0)), asyncio.create_task(asyncio.Event().wait())
    await settled(quick, stuck, None, within_s=0.05)  # type: ignore[arg-type]
    assert not quick.cancelled()
    assert stuck.cancelled()


async def _over(streamer: Streamer, ended: int) -> bool:
    """So many have said their last words, and wait to be told."""
    return sum(task.done() for task in streamer.tasks) == ended
