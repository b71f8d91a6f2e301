"""Frames missing, a stall, a broken connection: the calls go on, and nothing lags behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults import media_side

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]


async def test_a_bad_media_side_is_survived(tmp_path: Path) -> None:
    plan = media_side.Plan(calls=2, calm_s=1.0, lossy_s=1.0, stalls=1, cuts=2, backlog_s=3.0, answers=1, workers=1)
    result = await media_side.run(plan, work=tmp_path)
    assert result.passed, "\n".join(result.lines())
    assert result.details["counted"]["sessions_dropped"] > 0
