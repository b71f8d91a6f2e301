"""Two moments as real calls over the whole system: an answer, and an interruption."""

from __future__ import annotations

import pytest

from bench.moments import run
from bench.moments.the_set import MOMENTS

pytestmark = pytest.mark.timeout(120)


async def test_a_question_is_answered_and_an_interruption_taken() -> None:
    chosen = [
        next(moment for moment in MOMENTS if moment.kind == "complete" and "question" not in moment.name),
        next(moment for moment in MOMENTS if moment.kind == "interruption"),
    ]
    result = await run(2, chosen)
    question, interruption = result.verdicts

    # How fast the answers are is for a quiet machine to say, not for a test.
    assert question.response_ms is not None, result.lines()
    assert question.cut_off is False
    assert interruption.taken is True, result.lines()
    assert interruption.break_ms is not None
    assert interruption.break_ms > 200
    assert result.unknown == 0
    assert len(result.classes) == 2
