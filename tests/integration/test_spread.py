"""Calls are spread over the workers; one that joins takes load at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from websockets.asyncio.client import connect as dial

from callbus import registry
from callbus.broker import Broker, connect
from devstack.stack import LocalStack
from ringover_sim.media import metadata, target
from ringover_sim.script import Media
from ringover_sim.webhooks import Parties
from support.fake_providers import FakeElevenLabs, FakeOpenAI, one_each
from support.waiting import until

pytestmark = pytest.mark.timeout(120)


async def held(broker: Broker) -> list[int]:
    """The calls of each worker, the fewest first."""
    return sorted(beat["calls"] for beat in await registry.running(broker) if beat["kind"] == "worker")


async def test_calls_are_spread_evenly_and_a_new_worker_takes_the_next_ones(tmp_path: Path) -> None:
    media = Media()
    async with (
        FakeOpenAI() as openai,
        FakeElevenLabs(first_byte_ms=75) as elevenlabs,
        LocalStack(
            tmp_path,
            workers=3,
            env=one_each(openai, elevenlabs),
        ) as stack,
        connect(stack.redis_url) as broker,
        AsyncExitStack() as lines,
    ):

        async def call(number: int) -> None:
            parties = Parties(f"spread-{number}", f"336000{number:05}", "33184800001")
            where = target(stack.streamer_url, media, parties.call_id, stack.streamer_token or None)
            line = await lines.enter_async_context(dial(where.url, additional_headers=where.headers))
            await line.send(metadata(media, parties))

        # All at once: a burst must not end in whichever worker looks first.
        await asyncio.gather(*(call(number) for number in range(60)))
        await until(lambda: all_held(broker, 60))
        fewest, _, most = await held(broker)
        assert most <= 1.2 * 20
        assert fewest >= 0.8 * 20

        await stack.start_worker()
        before = await held(broker)
        for number in range(60, 75):
            await call(number)
        await until(lambda: all_held(broker, 75))
        after = await held(broker)
        assert before[0] == 0
        # It is one of four, and takes more than half of what comes; within a second the others know that it is there.
        assert after[0] > 15 / 2
        stack.check()


async def all_held(broker: Broker, count: int) -> bool:
    return sum(await held(broker)) == count
