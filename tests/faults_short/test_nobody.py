"""No worker, and no provider: the caller hears words, then gets a person."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import nobody

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]


async def test_words_and_then_a_person(tmp_path: Path) -> None:
    plan = nobody.Plan(calls=2, failing=("HTTP 500 from the start",))
    result = await nobody.run(plan, work=tmp_path)
    assert result.passed, "\n".join(result.lines())
