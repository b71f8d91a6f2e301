"""Each bench, with a handful of turns: it still runs, and what it measures is plausible. The goals are not judged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import barge_in, chaos, overhead

pytestmark = [pytest.mark.speech, pytest.mark.timeout(120)]


@pytest.mark.long
async def test_each_bench_measures(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as group:
        ahead = group.create_task(overhead.run((overhead.Load(2, 1),), work=tmp_path / "overhead"))
        barging = group.create_task(barge_in.run(barge_in.Plan(calls=2, interruptions=1), work=tmp_path / "barge-in"))
        failing = group.create_task(
            # Without the local model, which takes longer to load than all the rest.
            chaos.run(
                chaos.Plan(1, calls=2, turns=1, model_rate=0, first_rate=0.6, models="openai"), work=tmp_path / "chaos"
            )
        )

    ((_, measured),) = ((name, values) for name, values in ahead.result().details.items() if name.startswith("2 calls"))
    assert measured["turns"] == 2
    assert 0 < measured["ms"]["overhead"]["p50"] < 1000
    assert measured["ms"]["voice to voice"]["p50"] > measured["ms"]["providers' own times"]["p50"]
    for stage in ("stt_final", "llm_first_token", "first_sentence", "tts_first_byte", "first_audio_sent", "turn_end"):
        assert 0 < measured["told_by_the_system_ms"][stage]["p50"] < 5000
    assert all(0 <= value < 1000 for value in measured["hops_ms"]["in"].values())
    assert all(0 <= value < 1000 for value in measured["hops_ms"]["out"].values())

    assert len(barging.result().details["each"]) == 2
    assert barging.result().details["ms"]["p50"] > 200

    found = failing.result().details
    assert found["turns"] >= 1
    assert found["faults"]
    assert found["words_heard"] > 0
    assert not found["repeated"]
