"""Who runs, who waits, who never begins."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ai_worker.providers.base import ProviderError
from ai_worker.providers.local_pool import LocalPool


class Gate:
    """Work that says when it has begun, and lasts until it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = threading.Event()
        self._loop = asyncio.get_running_loop()

    def work(self) -> str:
        self._loop.call_soon_threadsafe(self.begun.set)
        assert self.go.wait(10)
        return threading.current_thread().name


async def test_no_more_run_at_once_than_there_are_workers() -> None:
    pool = LocalPool("some", workers=2, max_waiting=1)
    gates = [Gate() for _ in range(3)]
    tasks = [asyncio.create_task(pool.run(gate.work)) for gate in gates]
    await gates[0].begun.wait()
    await gates[1].begun.wait()
    assert not gates[2].begun.is_set()
    gates[0].go.set()
    await gates[2].begun.wait()
    for gate in gates:
        gate.go.set()
    assert {name.rsplit("_", 1)[0] for name in await asyncio.gather(*tasks)} == {"some"}
    await pool.aclose()


async def test_a_place_is_free_again_when_its_request_ends() -> None:
    pool = LocalPool("some", workers=1, max_waiting=1)
    with pool.admit(), pool.admit(), pytest.raises(ProviderError, match="2 requests") as refused, pool.admit():
        pass
    assert refused.value.retryable
    with pool.admit(), pool.admit():
        pass
    await pool.aclose()


async def test_a_request_cancelled_while_it_waits_never_runs() -> None:
    pool = LocalPool("some", workers=1, max_waiting=1)
    running, waiting, after = Gate(), Gate(), Gate()
    first = asyncio.create_task(pool.run(running.work))
    await running.begun.wait()
    second = asyncio.create_task(pool.run(waiting.work))
    third = asyncio.create_task(pool.run(after.work))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    after.go.set()
    running.go.set()
    await asyncio.gather(first, third)
    assert not waiting.begun.is_set()
    await pool.aclose()


async def test_a_request_that_runs_can_be_left() -> None:
    pool = LocalPool("some", workers=1, max_waiting=0)
    gate = Gate()
    task = asyncio.create_task(pool.run(gate.work))
    await gate.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.go.set()
    await pool.aclose()


async def test_closing_tells_those_who_wait() -> None:
    pool = LocalPool("some", workers=1, max_waiting=1)
    running, waiting = Gate(), Gate()
    first = asyncio.create_task(pool.run(running.work))
    await running.begun.wait()
    second = asyncio.create_task(pool.run(waiting.work))
    await asyncio.sleep(0)
    closing = asyncio.create_task(pool.aclose())
    with pytest.raises(ProviderError, match="closed"):
        await second
    running.go.set()
    await asyncio.gather(first, closing)
    assert not waiting.begun.is_set()
    with pytest.raises(ProviderError, match="closed"):
        await pool.run(running.work)


async def test_what_the_work_raises_is_passed_on() -> None:
    pool = LocalPool("some", workers=1, max_waiting=0)
    with pytest.raises(ProviderError, match="no luck"):
        await pool.run(_fail)
    await pool.aclose()


def _fail() -> None:
    raise ProviderError("some", "no luck", retryable=True)
