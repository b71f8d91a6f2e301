"""Waiting for a condition, in place of sleeping."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any


async def until(condition: Callable[[], Any], *, timeout: float = 20.0, every: float = 0.01, what: str = "") -> Any:
    """The first true value of `condition` (awaited, if need be), asked every `every` s; fails after `timeout` s."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        value = condition()
        if inspect.isawaitable(value):
            value = await value
        if value:
            return value
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout} s: {what or condition}"
        await asyncio.sleep(every)
