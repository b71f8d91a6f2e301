"""Waiting for a condition, in place of sleeping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(
    condition: Callable[[], Awaitable[T]] | Callable[[], T],
    *,
    timeout: float = 20.0,
    every: float = 0.01,
    what: str = "",
) -> T:
    """The first true value of `condition`, asked every `every` s. Fails the test after `timeout` s."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        found = condition()
        value: T = await found if inspect.isawaitable(found) else found  # type: ignore[assignment]
        if value:
            return value
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout} s: {what or condition}"
        await asyncio.sleep(every)
